"""What belongs to an execution, and questions with their answers, through the API."""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from executions import transitions
from executions.models import Execution, Question
from executions.states import State
from tests.api import Api, api_for
from tests.make import a_question, begin, claim_for, make_execution

pytestmark = pytest.mark.django_db


@pytest.fixture
def waiting() -> Question:
    """A choice of yes and no that somebody should answer."""
    return Question.objects.get(execution=make_execution(state=State.WAITING))


def test_events_tell_the_history_without_gaps(api: Api) -> None:
    execution = make_execution(state=State.COMPLETED)
    events = api.all(f"executions/{execution.pk}/events/?limit=2")
    assert [event["seq"] for event in events] == [1, 2, 3, 4]
    assert [event["kind"] for event in events] == ["submitted", "claimed", "started", "completed"]
    assert set(events[0]) == {"seq", "kind", "at", "actor", "reason", "data"}
    assert events[0]["data"]["task"] == "greet"
    assert [event["seq"] for event in api.get(f"executions/{execution.pk}/events/?after=2")["results"]] == [3, 4]


def test_logs_are_paged_by_line(api: Api) -> None:
    execution = make_execution()
    claim = claim_for(execution)
    begin(claim)
    for first in (0, 3):
        lines = [(time.time(), "stdout", "info", f"line {first + n} \x1b[31mré😀") for n in range(3)]
        transitions.log(claim, lines=lines, message=None, now=timezone.now())
    path = f"executions/{execution.pk}/logs/"
    lines_told = api.all(f"{path}?limit=4")
    assert [line["n"] for line in lines_told] == [1, 2, 3, 4, 5, 6]
    assert set(lines_told[0]) == {"n", "at", "stream", "level", "text"}
    assert lines_told[5]["text"] == "line 5 \x1b[31mré😀"
    assert [line["n"] for line in api.get(f"{path}?after=4")["results"]] == [5, 6]
    assert api.get(f"{path}?after=6") == {"results": [], "next": None}
    assert api.get(f"{path}?limit=6")["next"] is None


@pytest.mark.parametrize("query", ["after=-1", "after=x", f"after={2**63}", "after=" + "9" * 5000, "limit=1001", "n=1"])
def test_a_wrong_place_in_a_log_is_refused(api: Api, query: str) -> None:
    assert api("GET", f"executions/{make_execution().pk}/logs/?{query}").status == 422


def test_steps_and_attempts_are_told(api: Api) -> None:
    execution = make_execution()
    claim = claim_for(execution)
    begin(claim)
    for n in range(3):
        transitions.step(
            claim, key=f"part-{n}", occurrence=0, input_hash="", value={"n": n}, seconds=0.5, now=timezone.now()
        )
    steps = api.all(f"executions/{execution.pk}/steps/?limit=2")
    assert [(step["key"], step["attempt"], step["value"]) for step in steps] == [
        (f"part-{n}", 1, {"n": n}) for n in range(3)
    ]
    assert set(steps[0]) == {"key", "occurrence", "kind", "attempt", "value", "started_at", "finished_at"}
    (attempt,) = api.all(f"executions/{execution.pk}/attempts/")
    told = {name: attempt[name] for name in ("number", "worker", "method", "driver", "sandbox", "outcome", "error")}
    assert told == {
        "number": 1, "worker": "w1", "method": "container", "driver": "bwrap", "sandbox": "s-1", "outcome": None,
        "error": None,
    }  # fmt: skip
    transitions.complete(claim, output=None, now=timezone.now())
    (attempt,) = api.all(f"executions/{execution.pk}/attempts/")
    assert (attempt["outcome"], attempt["finished_at"] is not None) == ("completed", True)


@pytest.mark.parametrize("part", ["events", "logs", "steps", "attempts", "questions", "children", "waits", "signals"])
def test_a_part_refuses_what_it_cannot_be_asked(api: Api, part: str) -> None:
    answer = api("GET", f"executions/{make_execution().pk}/{part}/?colour=red")
    assert (answer.status, answer.places) == (422, ["/colour"])


def test_children_are_executions(api: Api) -> None:
    parent, child = make_execution(), make_execution()
    Execution.objects.filter(pk=child.pk).update(parent=parent)
    (row,) = api.all(f"executions/{parent.pk}/children/")
    assert (row["id"], row["parent"]) == (str(child.pk), str(parent.pk))
    assert api.all(f"executions/{child.pk}/children/") == []


# Questions


def test_a_waiting_execution_says_what_it_asks(api: Api, waiting: Question) -> None:
    body = api.get(f"executions/{waiting.execution_id}/")
    assert (body["state"], body["reason_code"]) == ("waiting", "waiting_for_answer")
    assert waiting.prompt in body["reason"]
    (question,) = api.all(f"executions/{waiting.execution_id}/questions/")
    told = {name: question[name] for name in ("id", "key", "prompt", "kind", "state", "answer", "answered_by")}
    assert told == {
        "id": str(waiting.pk), "key": "ask-1", "prompt": "Go on?", "kind": "choice", "state": "open", "answer": None,
        "answered_by": None,
    }  # fmt: skip
    assert [option["value"] for option in question["options"]] == ["yes", "no"]
    assert set(question) >= {"schema", "recommended", "deadline"}
    assert api.get(f"questions/{waiting.pk}/") == question


def test_questions_are_listed_by_state_and_execution(api: Api, waiting: Question) -> None:
    execution = make_execution(state=State.WAITING)
    transitions.cancel(execution.pk, now=timezone.now(), actor="user:mira")
    assert [row["id"] for row in api.all("questions/?state=open")] == [str(waiting.pk)]
    assert [row["execution"] for row in api.all("questions/?state=withdrawn")] == [str(execution.pk)]
    assert len(api.all("questions/?limit=1")) == 2
    assert [row["id"] for row in api.all(f"questions/?execution={waiting.execution_id}")] == [str(waiting.pk)]
    assert api("GET", "questions/?state=lost").status == 422
    assert api("GET", "questions/?execution=7").status == 422


def test_an_answer_lets_the_execution_go_on(api: Api, waiting: Question) -> None:
    answer = api("POST", f"questions/{waiting.pk}/answer/", {"value": "yes", "note": "looks good"})
    assert (answer.status, answer.body["id"], answer.body["state"]) == (200, str(waiting.execution_id), "resuming")
    question = api.get(f"questions/{waiting.pk}/")
    assert (question["state"], question["answer"], question["note"]) == ("answered", "yes", "looks good")
    assert "boss" in question["answered_by"]


def test_a_second_answer_is_told_who_answered_what(api: Api, mira: User, waiting: Question) -> None:
    assert api_for(mira)("POST", f"questions/{waiting.pk}/answer/", {"value": "no"}).status == 200
    answer = api("POST", f"questions/{waiting.pk}/answer/", {"value": "yes"})
    assert (answer.status, answer.body["code"]) == (409, "answered")
    assert "mira" in answer.body["detail"]
    assert "no" in answer.body["detail"]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, "/value"),
        ({"value": "maybe"}, "/value"),
        ({"value": {"no": "such option"}}, "/value"),
        ({"value": None}, "/value"),
        ({"value": "yes", "note": 7}, "/note"),
        ({"value": "yes", "colour": 7}, "/colour"),
        ([], ""),
    ],
)
def test_a_wrong_answer_changes_nothing(api: Api, waiting: Question, body: Any, place: str) -> None:
    answer = api("POST", f"questions/{waiting.pk}/answer/", body)
    assert (answer.status, answer.places) == (422, [place])
    waiting.refresh_from_db()
    assert waiting.state == Question.State.OPEN


@pytest.mark.parametrize(
    ("asked", "right", "wrong"),
    [
        ({"kind": "approve", "options": ()}, False, "false"),
        ({"kind": "choices"}, ["yes", "no"], ["yes", 7]),
        ({"kind": "text", "options": ()}, "ü", " "),
        ({"kind": "form", "options": (), "schema": {"type": "object", "required": ["a"]}}, {"a": None}, {}),
    ],
)
def test_each_kind_of_question_takes_its_answers(api: Api, asked: dict[str, Any], right: Any, wrong: Any) -> None:
    execution = make_execution()
    claim = claim_for(execution)
    begin(claim)
    transitions.ask(claim, asked=a_question(**asked), now=timezone.now())
    question = Question.objects.get(execution=execution)
    assert api("POST", f"questions/{question.pk}/answer/", {"value": wrong}).status == 422
    assert api("POST", f"questions/{question.pk}/answer/", {"value": right}).status == 200
    assert api.get(f"questions/{question.pk}/")["answer"] == right


def test_an_unknown_question_is_not_found(api: Api) -> None:
    assert api("GET", f"questions/{uuid4()}/").status == 404
    assert api("POST", f"questions/{uuid4()}/answer/", {"value": 1}).status == 404
