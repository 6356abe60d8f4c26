"""An execution as a file: everything of it, and enough to verify its seals elsewhere."""

from __future__ import annotations

import json
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from executions import seals, transitions
from executions.api import exporting
from executions.models import EventRow, Execution
from executions.states import State
from tests.api import Api, api_for
from tests.make import begin, claim_for, make_execution

pytestmark = pytest.mark.django_db


def exported(api: Api, execution: Execution) -> list[dict[str, Any]]:
    """The lines, read as a server sends them."""
    answer = api.client.get(
        f"/api/v1/executions/{execution.pk}/export/", headers={"Authorization": f"Bearer {api.secret}"}
    )
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/x-ndjson; charset=utf-8"
    assert f"EX-{execution.number}.jsonl" in answer["Content-Disposition"]

    async def read() -> bytes:
        return b"".join([piece async for piece in cast(Any, answer)])

    return [json.loads(line) for line in async_to_sync(read)().splitlines()]


def test_an_export_holds_everything_and_says_where_it_ends(api: Api) -> None:
    execution = make_execution()
    claim = claim_for(execution)
    begin(claim)
    now = timezone.now()
    transitions.log(
        claim, lines=[(1.0, "stdout", "info", "hello"), (2.0, "stdout", "info", "ü")], message=None, now=now
    )
    transitions.step(claim, key="a", occurrence=0, input_hash="", value=1, seconds=0.1, now=now)
    transitions.complete(claim, output={"n": 1}, now=now)
    lines = exported(api, execution)
    assert [next(iter(line)) for line in lines] == [
        "execution", *["event"] * 5, "attempt", "step", "line", "line", "end",
    ]  # fmt: skip
    assert lines[0]["execution"]["output"] == {"n": 1}
    assert lines[-1]["end"] == {
        "events": 5, "attempts": 1, "steps": 1, "questions": 0, "waits": 0, "signals": 0, "lines": 2,
    }  # fmt: skip


def test_an_export_tells_what_was_waited_for_and_sent(api: Api) -> None:
    execution = make_execution()
    claim = claim_for(execution)
    begin(claim)
    now = timezone.now()
    how: dict[str, Any] = {"key": "signal-1", "occurrence": 0, "input_hash": "", "name": "paid", "timeout": None}
    transitions.await_signal(claim, **how, now=now)
    transitions.signal(execution.pk, name="paid", value={"by": "card"}, key="k", now=now, actor="user:mira")
    lines = exported(api, execution)
    [wait] = [line["wait"] for line in lines if "wait" in line]
    [signal] = [line["signal"] for line in lines if "signal" in line]
    assert (wait["kind"], wait["name"]) == ("signal", "paid")
    assert (signal["value"], signal["sent_by"], signal["taken_by"]) == ({"by": "card"}, "user:mira", "signal-1")


def test_the_seals_of_an_export_verify_elsewhere(api: Api) -> None:
    execution = make_execution(state=State.WAITING)
    previous = ""
    for line in exported(api, execution):
        if "event" in line:
            told = line["event"]
            event = EventRow(**{**told, "execution_id": UUID(str(execution.pk)), "at": parse_datetime(told["at"])})
            assert seals.holds(event.hash, *event.sealed_parts(previous))
            previous = event.hash
    assert previous


def test_a_long_history_comes_in_pieces(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "AT_ONCE", 2)
    lines = exported(api, make_execution(state=State.COMPLETED))
    assert [line["event"]["seq"] for line in lines if "event" in line] == [1, 2, 3, 4]


def test_what_is_not_there_is_not_exported(api: Api) -> None:
    assert api("GET", f"executions/{uuid4()}/export/").status == 404


def test_an_export_needs_the_scope_read(boss: User) -> None:
    execution = make_execution()
    assert api_for(boss, "submit")("GET", f"executions/{execution.pk}/export/").status == 403
