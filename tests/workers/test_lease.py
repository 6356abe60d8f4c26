"""A claim is kept alive by this process alone, and its run never outlives it."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from executions import queries, transitions
from executions.models import Execution
from tests.make import begin, claim_for, make_execution
from workers.lease import Hold, Keeper


class Watched:
    """Notes what is done to it."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda **_: self.calls.append(name)


def until(true: Callable[[], bool]) -> None:
    limit = time.monotonic() + 10
    while not true() and time.monotonic() < limit:
        time.sleep(0.02)
    assert true()


def hold_of(claim: Any) -> tuple[Hold, Watched]:
    hold, sandbox = Hold(claim, tick=lambda: None), Watched()
    hold.take(sandbox)  # type: ignore[arg-type]
    return hold, sandbox


def test_what_was_decided_while_the_sandbox_was_made_is_done_to_it() -> None:
    for decide, call in ((Hold.lose, "end"), (Hold.release, "end"), (Hold.cancel, "stop")):
        hold, sandbox = Hold(None, tick=lambda: None), Watched()  # type: ignore[arg-type]
        decide(hold)
        hold.take(sandbox)  # type: ignore[arg-type]
        assert sandbox.calls == [call]


def test_a_cancel_stops_once() -> None:
    hold, sandbox = hold_of(None)
    hold.cancel()
    hold.cancel()
    assert sandbox.calls == ["stop"]


@pytest.mark.django_db(transaction=True)
def test_a_lease_is_renewed_as_long_as_it_is_kept() -> None:
    claim = claim_for(make_execution())
    first = Execution.objects.get().lease_until
    assert first
    keeper = Keeper(lease=timedelta(seconds=0.4))
    with keeper.keep(claim, tick=lambda: None) as hold:
        until(lambda: Execution.objects.filter(lease_until__gt=first).exists())
        assert not hold.is_lost


@pytest.mark.django_db(transaction=True)
def test_a_claim_that_is_gone_is_lost_and_its_sandbox_ended() -> None:
    claim = claim_for(make_execution())
    begin(claim)
    sandbox = Watched()
    with Keeper(lease=timedelta(seconds=0.4)).keep(claim, tick=lambda: None) as hold:
        hold.take(sandbox)  # type: ignore[arg-type]
        transitions.reclaim(claim.execution_id, token=claim.token, now=timezone.now(), actor="scheduler")
        until(lambda: hold.is_lost)
    assert "end" in sandbox.calls


@pytest.mark.django_db(transaction=True)
def test_without_the_database_it_freezes_and_goes_on_when_it_still_owns(monkeypatch: pytest.MonkeyPatch) -> None:
    claim = claim_for(make_execution())
    begin(claim)
    away = [True]
    renew, holding = transitions.renew, queries.holding

    def flaky(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            if away[0]:
                raise OperationalError("the server closed the connection")
            return real(*args)

        return call

    monkeypatch.setattr("workers.lease.transitions.renew", flaky(renew))
    monkeypatch.setattr("workers.lease.queries.holding", flaky(holding))
    sandbox = Watched()
    with Keeper(lease=timedelta(seconds=0.6)).keep(claim, tick=lambda: None) as hold:
        hold.take(sandbox)  # type: ignore[arg-type]
        until(lambda: "freeze" in sandbox.calls)
        away[0] = False
        until(lambda: "thaw" in sandbox.calls)
        assert not hold.is_lost
    assert sandbox.calls.count("freeze") == 1
