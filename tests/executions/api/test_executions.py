"""Executions through the API: submit, look, list, cancel."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from executions import transitions
from executions.models import Event, Execution, Timer
from executions.states import PHASES, State
from tasks.models import Plan
from tests.api import Api, api_for
from tests.make import claim_for, make_execution, make_plan, make_task

pytestmark = pytest.mark.django_db

MEMBERS = [
    "id",
    "number",
    "title",
    "state",
    "phase",
    "reason",
    "reason_code",
    "task",
    "version",
    "parent",
    "rerun_of",
    "run",
    "queue",
    "worker",
    "agent",
    "team",
    "environment",
    "owner",
    "labels",
    "priority",
    "attempt",
    "retries",
    "losses",
    "progress",
    "message",
    "available_at",
    "created_at",
    "started_at",
    "finished_at",
    "duration",
    "input",
    "output",
    "error",
]
SCHEMA = {
    "type": "object",
    "required": ["csv"],
    "properties": {"csv": {"type": "string"}},
    "additionalProperties": False,
}


def test_a_submission_is_answered_with_the_execution(api: Api) -> None:
    make_task("greet", queue="fast", agent="bot", team="sales", environment="staging", labels=["a"])
    answer = api("POST", "executions/", {"task": "greet", "input": {"name": "Mira"}})
    assert answer.status == 201
    body = answer.body
    assert answer.headers["Location"] == f"http://testserver/api/v1/executions/{body['id']}/"
    assert set(MEMBERS) <= set(body)
    told = {
        name: body[name] for name in ("task", "version", "queue", "agent", "team", "environment", "labels", "input")
    }
    assert told == {
        "task": "greet", "version": 1, "queue": "fast", "agent": "bot", "team": "sales", "environment": "staging",
        "labels": ["a"], "input": {"name": "Mira"},
    }  # fmt: skip
    assert (body["state"], body["phase"], body["owner"], body["priority"]) == ("pending", "pending", "boss", "normal")
    assert body["reason_code"] == "no_worker"
    assert "No worker" in body["reason"]
    assert body["created_at"].endswith("Z")
    assert api.get(f"executions/{body['id']}/") == body


def test_a_submission_chooses_instead_of_the_task(api: Api) -> None:
    make_task("other", queue="slow")
    make_task("greet")
    wish = {"queue": "slow", "priority": "high", "agent": "a", "team": "t", "environment": "e", "labels": ["x", "y"]}
    at = "2999-01-02T03:04:05+02:00"
    body = api("POST", "executions/", {"task": "greet", "title": "Mine", "start_at": at, **wish}).body
    assert {name: body[name] for name in wish} == wish
    assert (body["title"], body["available_at"], body["reason_code"]) == ("Mine", "2999-01-02T01:04:05Z", "not_before")


def test_an_input_that_does_not_fit_starts_nothing(api: Api) -> None:
    make_task("greet", input_schema=SCHEMA)
    missing = api("POST", "executions/", {"task": "greet", "input": {"cvs": ""}})
    assert missing.status == 422
    assert sorted(missing.places) == ["/input/csv", "/input/cvs"]
    wrong = api("POST", "executions/", {"task": "greet", "input": {"csv": 7}})
    assert (wrong.status, wrong.places) == (422, ["/input/csv"])
    assert not Execution.objects.exists()


@pytest.mark.parametrize(
    ("body", "places"),
    [
        ({}, ["/task"]),
        ({"plan": 2**70}, ["/plan"]),
        ({"plan": "1"}, ["/plan"]),
        ({"task": "greet", "plan": 1}, ["/task"]),
        ({"task": 7}, ["/task"]),
        ({"task": None}, ["/task"]),
        ({"task": "greet", "colour": "red", "size": 1}, ["/colour", "/size"]),
        ({"task": "greet", "ttl": 0}, ["/ttl"]),
        ({"task": "greet", "ttl": -1.5}, ["/ttl"]),
        ({"task": "greet", "ttl": "60"}, ["/ttl"]),
        ({"task": "greet", "ttl": True}, ["/ttl"]),
        ({"task": "greet", "ttl": 1e300}, ["/ttl"]),
        ({"task": "greet", "ttl": 10**400}, ["/ttl"]),
        ({"task": "greet", "queue": "nowhere"}, ["/queue"]),
        ({"task": "greet", "priority": "soon"}, ["/priority"]),
        ({"task": "greet", "start_at": "tomorrow"}, ["/start_at"]),
        ({"task": "greet", "start_at": "0001-01-01T00:00:00+14:00"}, ["/start_at"]),
        ({"task": "greet", "labels": "a"}, ["/labels"]),
        ({"task": "greet", "labels": ["a", 7]}, ["/labels/1"]),
        ({"task": "greet", "labels": ["a" * 101]}, ["/labels/0"]),
        ({"task": "greet", "labels": ["a"] * 51}, ["/labels"]),
        ({"task": "greet", "title": "t" * 201}, ["/title"]),
        ({"task": "greet", "environment": "e" * 51}, ["/environment"]),
        ({"task": "greet", "agent": {}}, ["/agent"]),
        ([], [""]),
        ("greet", [""]),
        (None, [""]),
    ],
)
def test_a_wrong_member_is_refused_with_its_place(api: Api, body: Any, places: list[str]) -> None:
    make_task("greet")
    answer = api("POST", "executions/", body)
    assert (answer.status, answer.places) == (422, places)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert not Execution.objects.exists()


@pytest.mark.parametrize(("body", "place"), [({"task": "nobody"}, "/task"), ({"plan": 77}, "/plan")])
def test_an_unknown_task_or_plan_is_not_found(api: Api, body: Any, place: str) -> None:
    answer = api("POST", "executions/", body)
    assert (answer.status, answer.places) == (404, [place])
    answer = api("POST", "executions/batch/", {"executions": [body]})
    assert (answer.status, answer.places) == (404, [f"/executions/0{place}"])


def test_what_waits_for_a_worker_longer_than_its_ttl_times_out(api: Api) -> None:
    make_task("greet")
    made = api("POST", "executions/", {"task": "greet", "ttl": 1.5})
    (timer,) = Timer.objects.filter(execution=made.body["id"])
    transitions.fire(timer.pk, now=timer.due_at, actor="scheduler")
    body = api.get(f"executions/{made.body['id']}/")
    assert (body["state"], body["reason_code"]) == ("timed_out", "expired")
    assert "may wait in its queue" in body["reason"]


def test_null_asks_for_nothing(api: Api) -> None:
    make_task("greet")
    nothing = {"ttl": None, "queue": None, "labels": None, "start_at": None, "title": None}
    assert api("POST", "executions/", {"task": "greet", **nothing}).status == 201


def test_an_unknown_queue_is_named_with_those_there_are(api: Api) -> None:
    make_task("greet")
    answer = api("POST", "executions/", {"task": "greet", "queue": "nowhere"})
    assert "default" in answer.body["errors"][0]["message"]


def test_a_plan_is_launched_with_its_draft_or_with_another_input(api: Api) -> None:
    task = make_task("greet")
    drafted, empty = make_plan(task, input={"a": 1}, title="Mine"), make_plan(task)
    answer = api("POST", "executions/", {"plan": drafted.pk})
    assert (answer.status, answer.body["plan"]) == (201, drafted.pk)
    assert (answer.body["input"], answer.body["title"]) == ({"a": 1}, "Mine")
    assert api("POST", "executions/", {"plan": empty.pk, "input": {"b": 2}}).body["input"] == {"b": 2}
    drafted.refresh_from_db()
    assert drafted.state == Plan.State.LAUNCHED


def test_a_plan_launched_twice_is_one_execution(api: Api) -> None:
    plan = make_plan()
    first, second = (api("POST", "executions/", {"plan": plan.pk}) for _ in range(2))
    assert (first.status, second.status) == (201, 200)
    assert first.body["id"] == second.body["id"]


def test_a_removed_plan_cannot_be_launched(api: Api) -> None:
    plan = make_plan()
    assert api("DELETE", f"plans/{plan.pk}/").status == 200
    answer = api("POST", "executions/", {"plan": plan.pk})
    assert (answer.status, answer.body["code"]) == (409, "not_planned")


def test_an_archived_task_runs_no_more(api: Api) -> None:
    make_task("greet")
    assert api("DELETE", "tasks/greet/").status == 200
    answer = api("POST", "executions/", {"task": "greet"})
    assert (answer.status, answer.body["code"]) == (409, "archived")


def test_the_same_request_with_the_same_key_is_one_execution(api: Api) -> None:
    make_task("greet")
    first, again = (
        api("POST", "executions/", {"task": "greet", "input": {"a": 1}}, Idempotency_Key="k1") for _ in range(2)
    )
    assert (first.status, again.status) == (201, 200)
    assert again.body == first.body
    other = api("POST", "executions/", {"task": "greet", "input": {"a": 2}}, Idempotency_Key="k1")
    assert (other.status, other.body["code"]) == (409, "idempotency_conflict")
    assert Execution.objects.count() == 1


def test_a_key_belongs_to_who_sent_it(api: Api, mira: User) -> None:
    make_task("greet")
    ids = {
        each("POST", "executions/", {"task": "greet"}, Idempotency_Key="k1").body["id"] for each in (api, api_for(mira))
    }
    assert len(ids) == 2


@pytest.mark.parametrize("key", ["", "k" * 201, "a\x00b", "a\x7fb", "a\nb", "schl\xfcssel"])
def test_a_key_that_is_none_is_refused(api: Api, key: str) -> None:
    make_task("greet")
    assert api("POST", "executions/", {"task": "greet"}, Idempotency_Key=key).status == 422
    assert not Execution.objects.exists()


def test_a_batch_is_accepted_whole(api: Api) -> None:
    make_task("greet")
    body = {"executions": [{"task": "greet", "input": {"n": n}} for n in range(3)]}
    answer = api("POST", "executions/batch/", body, Idempotency_Key="k")
    assert answer.status == 201
    assert [row["input"]["n"] for row in answer.body["results"]] == [0, 1, 2]
    again = api("POST", "executions/batch/", body, Idempotency_Key="k")
    assert [row["id"] for row in again.body["results"]] == [row["id"] for row in answer.body["results"]]
    assert Execution.objects.count() == 3


@pytest.mark.parametrize(
    ("second", "place"),
    [
        ({"task": "greet", "colour": 1}, "/executions/1/colour"),
        ({"task": "strict"}, "/executions/1/input/csv"),
        (7, "/executions/1"),
    ],
)
def test_a_batch_with_one_wrong_part_is_refused_whole(api: Api, second: Any, place: str) -> None:
    make_task("greet")
    make_task("strict", input_schema=SCHEMA)
    answer = api("POST", "executions/batch/", {"executions": [{"task": "greet"}, second]})
    assert (answer.status, answer.places) == (422, [place])
    assert not Execution.objects.exists()


@pytest.mark.parametrize(
    "body", [{}, {"executions": []}, {"executions": {}}, {"executions": [{"task": "greet"}] * 201}]
)
def test_a_batch_has_one_to_two_hundred_parts(api: Api, body: Any) -> None:
    answer = api("POST", "executions/batch/", body)
    assert answer.status == 422
    assert answer.places[0].startswith("/executions")


@pytest.mark.parametrize("state", sorted(set(State) - {State.PAUSED}))  # nothing pauses yet
def test_every_state_is_told_with_its_phase(api: Api, state: State) -> None:
    execution = make_execution(state=state)
    body = api.get(f"executions/{execution.pk}/")
    assert (body["state"], state in PHASES[body["phase"]]) == (state, True)
    assert (body["finished_at"] is not None) == execution.is_final
    if execution.started_at and execution.finished_at:
        assert body["duration"] == pytest.approx((execution.finished_at - execution.started_at).total_seconds())
    else:
        assert body["duration"] is None


def test_input_output_and_error_are_json_values(api: Api) -> None:
    done = api.get(f"executions/{make_execution(state=State.COMPLETED, input={'ü': [1.5, None]}).pk}/")
    assert (done["input"], done["output"], done["error"]) == ({"ü": [1.5, None]}, {"done": True}, None)
    failed = api.get(f"executions/{make_execution(state=State.FAILED).pk}/")
    assert failed["error"]["type"]
    assert failed["output"] is None


def test_what_is_unknown_is_not_found(api: Api) -> None:
    for path in ("", "events/", "logs/", "steps/", "questions/", "children/", "attempts/"):
        answer = api("GET", f"executions/{uuid4()}/{path}")
        assert (answer.status, answer.headers["Content-Type"]) == (404, "application/problem+json")
    assert api("POST", f"executions/{uuid4()}/cancel/", {}).status == 404


@pytest.mark.parametrize("pk", ["7", "none", "not-a-uuid", "0190e5a0%00", "%ED%A0%80", "..%2f", "a" * 3000])
def test_what_is_no_id_is_not_found(api: Api, pk: str) -> None:
    for path in (f"executions/{pk}/", f"questions/{pk}/", f"executions/{pk}/events/"):
        answer = api("GET", path)
        assert (answer.status, answer.headers["Content-Type"]) == (404, "application/problem+json")


# The list


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["id"] for row in rows]


def test_the_list_is_newest_first_and_holds_no_input(api: Api) -> None:
    made = [str(make_execution().pk) for _ in range(3)]
    rows = api.get("executions/")["results"]
    assert ids(rows) == made[::-1]
    assert set(MEMBERS) - set(rows[0]) == {"input", "output"}


def test_the_list_is_paged_to_its_end_without_gaps(api: Api) -> None:
    made = [str(make_execution().pk) for _ in range(5)]
    page = api.get("executions/?limit=2&state=pending")
    assert len(page["results"]) == 2
    assert page["next"].startswith("http://testserver/api/v1/executions/?")
    assert ids(api.all("executions/?limit=2&state=pending")) == made[::-1]
    assert api.get("executions/?limit=5")["next"] is None


def test_the_pages_hold_when_moments_are_equal(api: Api) -> None:
    for _ in range(4):
        make_execution()
    Execution.objects.update(created_at=timezone.now())
    assert len(set(ids(api.all("executions/?limit=1")))) == 4


def test_each_filter_narrows_the_list(api: Api) -> None:
    make_task("greet", labels=["a", 'it\'s "ü" 100%'])
    make_task("other", queue="slow", agent="bot", team="sales", environment="staging")
    greet = api("POST", "executions/", {"task": "greet", "title": "Hällo 100%"}).body
    other = api("POST", "executions/", {"task": "other"}).body
    api("POST", f"executions/{other['id']}/cancel/")
    for query, expected in {
        "state=pending": greet, "state=cancelled,failed": other, "phase=cancelled": other, "phase=pending": greet,
        "task=other": other, "queue=slow": other, "agent=bot": other, "team=sales": other, "environment=staging": other,
        "team=": greet, "label=a": greet, "label=it's \"%C3%BC\" 100%25": greet, "q=H%C3%A4llo": greet, "q=100%25": greet,
        f"q={other['id']}": other, f"q=EX-{other['number']}": other, f"q=ex-{greet['number']}": greet,
        "q=othe": other,
    }.items():  # fmt: skip
        assert ids(api.get(f"executions/?{query}")["results"]) == [expected["id"]], query
    assert api.get("executions/?label=A")["results"] == []
    assert api.get("executions/?label=it")["results"] == []
    assert api.get("executions/?q=_")["results"] == []


def test_since_keeps_what_was_submitted_then_or_later(api: Api) -> None:
    old, new = make_execution(), make_execution()
    Execution.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=2))
    since = (timezone.now() - timedelta(days=1)).isoformat().replace("+", "%2B")
    assert ids(api.get(f"executions/?since={since}")["results"]) == [str(new.pk)]


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("state=done", "/state"),
        ("state=", "/state"),
        ("phase=asleep", "/phase"),
        ("since=yesterday", "/since"),
        ("since=0001-01-01T00:00:00%2B14:00", "/since"),
        ("limit=0", "/limit"),
        ("limit=201", "/limit"),
        ("limit=-1", "/limit"),
        ("limit=two", "/limit"),
        ("limit=1e9", "/limit"),
        ("limit=" + "9" * 5000, "/limit"),
        ("limit=%D9%A1", "/limit"),
        ("colour=red", "/colour"),
        ("task=greet&task=other", "/task"),
        ("q=%00", "/q"),
        ("label=a%00", "/label"),
        ("task=%00", "/task"),
    ],
)
def test_a_wrong_filter_is_refused_and_not_ignored(api: Api, query: str, place: str) -> None:
    answer = api("GET", f"executions/?{query}")
    assert (answer.status, answer.places) == (422, [place])


@pytest.mark.parametrize(
    "said", ["nonsense", "W10", "WzEsMl0", "WyJhIiwiYiJd", "%00", "%C3%BC"]
)  # [], [1,2], ["a","b"]
def test_a_forged_cursor_is_no_page(api: Api, said: str) -> None:
    answer = api("GET", f"executions/?cursor={said}")
    assert (answer.status, answer.places) == (404, ["/cursor"])


def test_odd_text_in_the_query_finds_nothing(api: Api) -> None:
    make_execution()
    for query in ("q=%ED%A0%80", "q=%FF", "task=%F0%9F%98%80", "label=%ED%B0%80", "q=" + "9" * 18):
        assert api.get(f"executions/?{query}")["results"] == []


# Cancel


def test_a_pending_execution_is_cancelled_at_once(api: Api) -> None:
    execution = make_execution()
    answer = api("POST", f"executions/{execution.pk}/cancel/", {"reason": "no longer wanted"})
    assert (answer.status, answer.body["state"], answer.body["phase"]) == (200, "cancelled", "cancelled")
    assert Event.objects.get(kind="cancelled").reason == "no longer wanted"


def test_a_running_execution_is_told_to_stop(api: Api) -> None:
    execution = make_execution(state=State.RUNNING)
    answer = api("POST", f"executions/{execution.pk}/cancel/")
    assert (answer.status, answer.body["state"], answer.body["reason_code"]) == (200, "cancelling", "cancelling")


@pytest.mark.parametrize("state", [State.COMPLETED, State.FAILED, State.CANCELLED])
def test_what_has_ended_cannot_be_cancelled_and_that_is_recorded(api: Api, state: State) -> None:
    execution = make_execution(state=state)
    answer = api("POST", f"executions/{execution.pk}/cancel/", {})
    assert (answer.status, answer.body["code"], answer.body["allowed"]) == (409, "final", ["retry"])
    assert state in answer.body["detail"]
    assert api.all(f"executions/{execution.pk}/events/")[-1]["kind"] == "write_refused"


@pytest.mark.parametrize("body", [{"why": "x"}, {"reason": 7}, {"reason": "r" * 501}, []])
def test_a_wrong_cancel_changes_nothing(api: Api, body: Any) -> None:
    execution = make_execution()
    assert api("POST", f"executions/{execution.pk}/cancel/", body).status == 422
    execution.refresh_from_db()
    assert execution.state == State.PENDING


def test_a_held_execution_names_its_worker(api: Api) -> None:
    execution = make_execution()
    claim_for(execution)
    body = api.get(f"executions/{execution.pk}/")
    assert (body["worker"], body["attempt"], body["state"]) == ("w1", 1, "preparing")
    assert datetime.fromisoformat(body["started_at"]).tzinfo == UTC
