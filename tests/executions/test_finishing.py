"""Attempts that end before their start was told: complete_all writes what start and complete write."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from executions import transitions
from executions.models import Attempt, Event, Execution
from executions.states import State
from executions.transitions import Began, Claim, Finished, Stale
from tests.make import claim_for, make_execution, make_task

pytestmark = pytest.mark.django_db

NOW = timezone.now()
BEGAN = Began("s-1", "in_process", "helper", "a test said so", NOW)


def finished(claim: Claim, output: str = '{"n":1}', **began: Any) -> Finished:
    return Finished(claim, Began(**{**{name: getattr(BEGAN, name) for name in Began.__slots__}, **began}), output)


def claims(count: int) -> list[Claim]:
    make_task("greet")
    for _ in range(count):
        make_execution()
    return transitions.claim("w1", incarnation=1, queues=["default"], offers=["python"], now=NOW, most=count)


def rows(execution: Execution) -> tuple[Any, ...]:
    """Everything that is recorded of an execution, but what differs between any two."""
    differs = {"id", "number", "lineage", "execution_id", "hash", "rank", "changed_at", "created_at"}
    told: list[list[dict[str, Any]]] = [
        [{name: value for name, value in row.items() if name not in differs} for row in found.values()]
        for found in (
            Execution.objects.filter(pk=execution.pk),
            Event.objects.filter(execution=execution, seq__gt=1).order_by("seq"),
            Attempt.objects.filter(execution=execution),
        )
    ]
    assert told[0][0].pop("revision") >= 3
    moments = {"at", "state_at", "started_at", "finished_at", "claimed_at"}
    return tuple([{name: value for name, value in row.items() if name not in moments} for row in part] for part in told)


def test_it_writes_what_the_two_verbs_write() -> None:
    one, other = claims(2)
    transitions.start(one, began=BEGAN, now=NOW)
    transitions.complete(one, output={"n": 1}, now=NOW)
    assert transitions.complete_all([finished(other)], now=NOW) == {other.execution_id}
    first, second = (Execution.objects.get(pk=claim.execution_id) for claim in (one, other))
    assert rows(first) == rows(second)


def test_several_end_together_each_with_its_own_output() -> None:
    taken = claims(3)
    told = [finished(claim, output=str(n), sandbox=f"s-{n}") for n, claim in enumerate(taken)]
    assert transitions.complete_all(told, now=NOW) == {claim.execution_id for claim in taken}
    found = [Execution.objects.get(pk=claim.execution_id) for claim in taken]
    assert [row.output for row in found] == ["0", "1", "2"]
    assert [row.attempts.get().sandbox for row in found] == ["s-0", "s-1", "s-2"]
    assert [list(row.events.values_list("seq", "kind")) for row in found] == [
        [(1, "submitted"), (2, "claimed"), (3, "started"), (4, "completed")]
    ] * 3


@pytest.mark.parametrize("verb", ["cancel", "pause"])
def test_what_was_asked_meanwhile_is_left_to_the_other_verbs(verb: str) -> None:
    first, second = claims(2)
    getattr(transitions, verb)(first.execution_id, now=NOW, actor="user:mira")
    assert transitions.complete_all([finished(first), finished(second)], now=NOW) == {second.execution_id}
    assert Execution.objects.get(pk=first.execution_id).state != "completed"


def test_a_stale_claim_ends_nothing() -> None:
    [claim] = claims(1)
    transitions.reclaim(claim.execution_id, token=claim.token, now=NOW, actor="scheduler")
    assert transitions.complete_all([finished(claim)], now=NOW) == frozenset()
    with pytest.raises(Stale):
        transitions.complete(claim, output=1, now=NOW)


def test_said_twice_it_counts_once() -> None:
    [claim] = claims(1)
    transitions.complete_all([finished(claim)], now=NOW)
    assert transitions.complete_all([finished(claim)], now=NOW) == frozenset()
    transitions.start(claim, began=BEGAN, now=NOW)
    transitions.complete(claim, output={"n": 1}, now=NOW)
    assert Event.objects.filter(execution=claim.execution_id).count() == 4


def test_a_child_is_left_to_the_verbs_that_tell_its_parent() -> None:
    make_task("greet")
    parent = make_execution()
    claim = claim_for(parent)
    transitions.start(claim, began=BEGAN, now=NOW)
    child = transitions.Child("greet")
    transitions.run(
        claim, key="run-1", occurrence=0, input_hash="", children=[child], gathers=False, fail_fast=True, now=NOW
    )
    [claimed] = transitions.claim("w1", incarnation=1, queues=["default"], offers=["python"], now=NOW)
    assert transitions.complete_all([finished(claimed)], now=NOW) == frozenset()
    assert Execution.objects.get(pk=claimed.execution_id).state == State.PREPARING
