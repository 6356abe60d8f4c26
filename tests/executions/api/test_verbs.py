"""pause, resume, terminate, retry and signal through the API: what they answer, and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from executions.models import Event, Execution, Question, Step
from executions.states import State
from tasks import manifest
from tests.api import Api, api_for
from tests.executions.lives import awaiting, fresh, paused, recorded, running, sleeping, with_children
from tests.make import make_execution, make_task

pytestmark = pytest.mark.django_db

NOBODY = "00000000-0000-4000-8000-000000000000"
BODIES: dict[str, dict[str, Any]] = {
    "pause": {}, "resume": {}, "terminate": {"reason": "it hangs"}, "retry": {}, "signal": {"name": "paid"},
}  # fmt: skip


def ask(api: Api, execution: Execution, verb: str, body: Any = None, **headers: Any) -> Any:
    return api("POST", f"executions/{execution.pk}/{verb}/", BODIES[verb] if body is None else body, **headers)


# Pause and resume


@pytest.mark.parametrize("state", [State.PENDING, State.RESUMING, State.WAITING])
def test_what_no_worker_holds_is_paused_at_once_and_goes_on_where_it_stood(api: Api, state: State) -> None:
    execution = make_execution(state=state)
    frozen = ask(api, execution, "pause", {"reason": "until Monday"})
    assert (frozen.status, frozen.body["state"], frozen.body["paused_from"]) == (200, "paused", str(state))
    assert frozen.body["phase"] == ("pending" if state == State.PENDING else "running")
    assert "resume" in frozen.body["allowed"]
    goes_on = ask(api, execution, "resume")
    assert (goes_on.status, goes_on.body["state"], goes_on.body["paused_from"]) == (200, str(state), None)


def test_what_runs_is_pausing_until_its_code_records_something(api: Api) -> None:
    execution, _ = running()
    told = ask(api, execution, "pause").body
    assert (told["state"], told["pausing"], told["reason_code"]) == ("running", True, "pausing")
    again = ask(api, execution, "pause")
    assert (again.status, again.body["code"]) == (409, "not_allowed")
    assert "resume" in again.body["allowed"]
    assert ask(api, execution, "resume").body["pausing"] is False


def test_only_what_is_paused_can_be_resumed(api: Api) -> None:
    answer = ask(api, make_execution(), "resume")
    assert (answer.status, answer.body["allowed"]) == (409, ["cancel", "pause", "signal", "terminate"])


def test_phases_count_what_is_paused_where_it_was(api: Api) -> None:
    before, later = paused(), sleeping()
    assert [row["id"] for row in api.all("executions/?phase=pending")] == [str(before.pk)]
    assert [row["id"] for row in api.all("executions/?phase=running")] == [str(later.pk)]
    assert len(api.all("executions/?phase=running,pending")) == 2
    assert [row["id"] for row in api.all("executions/?phase=pending,failed")] == [str(before.pk)]


# Terminate


@pytest.mark.parametrize("state", [State.PENDING, State.RUNNING, State.CANCELLING, State.WAITING])
def test_a_record_is_closed_with_its_reason(api: Api, state: State) -> None:
    execution = make_execution(state=state)
    told = ask(api, execution, "terminate").body
    assert (told["state"], told["phase"], told["allowed"]) == ("terminated", "cancelled", ["retry"])
    assert "it hangs" in told["reason"]
    assert Event.objects.get(execution=execution, kind="terminated").reason == "it hangs"


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "  "}, {"reason": 7}, {"reason": "r" * 501}])
def test_a_record_is_not_closed_without_a_reason(api: Api, body: Any) -> None:
    execution = make_execution()
    answer = ask(api, execution, "terminate", body)
    assert (answer.status, answer.places) == (422, ["/reason"])
    assert fresh(execution).state == State.PENDING


# Retry


def test_a_retry_is_a_new_execution_of_the_same_lineage(api: Api) -> None:
    old = make_execution(state=State.FAILED, input={"n": 1})
    answer = ask(api, old, "retry")
    new = answer.body
    assert (answer.status, new["run"], new["rerun_of"], new["lineage"]) == (201, 2, str(old.pk), str(old.lineage))
    assert (new["input"], new["state"], new["owner"]) == ({"n": 1}, "pending", "boss")
    assert answer.headers["Location"].endswith(f"/api/v1/executions/{new['id']}/")
    assert fresh(old).state == State.FAILED


def test_a_retry_with_another_input_and_version(api: Api) -> None:
    old = make_execution(state=State.FAILED)
    manifest.add_version(old.task, manifest.document(old.task_version), now=timezone.now(), by="test")
    newest = ask(api, old, "retry", {"input": {"n": 2}}).body
    assert (newest["input"], newest["version"]) == ({"n": 2}, 2)
    assert ask(api, old, "retry", {"version": 1, "input": None}).body["version"] == 1


def test_what_was_recorded_is_kept_as_far_as_was_asked(api: Api) -> None:
    old, question = recorded()

    def keys(new: dict[str, Any]) -> list[str]:
        return [step.key for step in Step.objects.filter(execution=new["id"])]

    assert keys(ask(api, old, "retry").body) == []
    assert keys(ask(api, old, "retry", {"resume": True}).body) == ["a", "seen", "b"]
    assert keys(ask(api, old, "retry", {"from_step": "b", "occurrence": 0}).body) == ["a", "seen"]
    fork = ask(api, old, "retry", {"question": str(question.pk), "answer": "no"}).body
    assert Question.objects.get(execution=fork["id"]).answer == '"no"'


@pytest.mark.parametrize(
    ("body", "places"),
    [
        ({"resume": True, "from_step": "a"}, ["/from_step"]),
        ({"from_step": "a", "question": NOBODY, "answer": 1}, ["/question"]),
        ({"answer": "no"}, ["/answer"]),
        ({"question": NOBODY}, ["/answer"]),
        ({"question": NOBODY, "answer": "no"}, ["/question"]),
        ({"occurrence": 1}, ["/occurrence"]),
        ({"from_step": "z"}, ["/from_step"]),
        ({"from_step": "a", "occurrence": 9}, ["/from_step"]),
        ({"version": 77}, ["/version"]),
        ({"version": 0}, ["/version"]),
        ({"resume": "yes"}, ["/resume"]),
        ({"question": "x"}, ["/question"]),
        ({"steps": []}, ["/steps"]),
        ([], [""]),
    ],
)
def test_what_cannot_be_tried_again_like_that_is_refused_with_its_place(api: Api, body: Any, places: list[str]) -> None:
    old, _ = recorded()
    answer = ask(api, old, "retry", body)
    assert (answer.status, answer.places) == (422, places)
    assert Execution.objects.count() == 1


def test_an_answer_that_does_not_fit_is_refused_in_a_fork_too(api: Api) -> None:
    old, question = recorded()
    answer = ask(api, old, "retry", {"question": str(question.pk), "answer": "perhaps"})
    assert (answer.status, answer.places) == (422, ["/answer"])


def test_an_input_that_does_not_fit_the_version_is_refused(api: Api) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    old = make_execution(make_task(input_schema=schema), state=State.FAILED, input={"n": 1})
    answer = ask(api, old, "retry", {"input": {"n": "one"}})
    assert (answer.status, answer.places) == (422, ["/input/n"])


def test_what_has_not_ended_cannot_be_retried(api: Api) -> None:
    answer = ask(api, make_execution(), "retry")
    assert (answer.status, answer.body["code"], "cancel" in answer.body["allowed"]) == (409, "not_allowed", True)


def test_a_key_makes_one_retry_however_often_it_is_sent(api: Api) -> None:
    old, other = make_execution(state=State.FAILED), make_execution(state=State.FAILED)
    first = ask(api, old, "retry", {"input": {"n": 2}}, Idempotency_Key="k1")
    again = ask(api, old, "retry", {"input": {"n": 2}}, Idempotency_Key="k1")
    assert (again.status, again.body) == (201, first.body)
    assert Execution.objects.count() == 3
    for execution, body in ((old, {"input": {"n": 3}}), (other, {"input": {"n": 2}})):
        different = ask(api, execution, "retry", body, Idempotency_Key="k1")
        assert (different.status, different.body["code"]) == (409, "idempotency_conflict")
    assert ask(api, old, "retry", {}, Idempotency_Key="é").status == 422


# Signals


def test_a_signal_ends_the_wait_for_it(api: Api) -> None:
    execution = awaiting("paid")
    told = ask(api, execution, "signal", {"name": "paid", "value": {"by": "card"}}).body
    assert told["state"] == "resuming"
    (wait,) = api.all(f"executions/{execution.pk}/waits/")
    assert (wait["kind"], wait["name"], wait["value"]) == ("signal", "paid", {"value": {"by": "card"}})
    (signal,) = api.all(f"executions/{execution.pk}/signals/")
    told = {name: signal[name] for name in ("name", "key", "value", "taken_by")}
    assert told == {"name": "paid", "key": None, "value": {"by": "card"}, "taken_by": "signal:paid"}


def test_a_signal_that_comes_early_is_kept_and_one_key_counts_once(api: Api) -> None:
    execution = make_execution()
    for _ in range(2):
        assert ask(api, execution, "signal", {"name": "paid", "key": "k"}).status == 200
    (signal,) = api.all(f"executions/{execution.pk}/signals/")
    assert (signal["value"], signal["key"], signal["taken_by"]) == (None, "k", None)
    assert signal["sent_by"] == "token:test (boss)"


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": 7}, {"name": "n" * 201}, {"name": "a", "when": 1}])
def test_a_wrong_signal_changes_nothing(api: Api, body: Any) -> None:
    execution = make_execution()
    assert ask(api, execution, "signal", body).status == 422
    assert api.all(f"executions/{execution.pk}/signals/") == []


# All of them


@pytest.mark.parametrize("verb", [verb for verb in BODIES if verb != "retry"])
def test_what_has_ended_is_final(api: Api, verb: str) -> None:
    execution = make_execution(state=State.COMPLETED)
    answer = ask(api, execution, verb)
    assert (answer.status, answer.body["code"], answer.body["allowed"]) == (409, "final", ["retry"])
    assert api.all(f"executions/{execution.pk}/events/")[-1]["kind"] == "write_refused"


@pytest.mark.parametrize("verb", list(BODIES))
def test_an_unknown_execution_is_not_found(api: Api, verb: str) -> None:
    assert api("POST", f"executions/{NOBODY}/{verb}/", BODIES[verb]).status == 404


@pytest.mark.parametrize(
    ("verb", "scope"),
    [("pause", "cancel"), ("resume", "cancel"), ("terminate", "cancel"), ("retry", "submit"), ("signal", "answer")],
)
def test_each_verb_needs_its_scope(boss: User, verb: str, scope: str) -> None:
    execution = make_execution()
    others = [each for each in ("read", "submit", "answer", "cancel", "define", "admin") if each != scope]
    assert ask(api_for(boss, *others), execution, verb).status == 403
    assert ask(api_for(boss, scope), execution, verb).status in (200, 409)


@pytest.mark.parametrize("state", [state for state in State if state != State.PAUSED])
def test_an_execution_says_what_may_be_asked_of_it(api: Api, state: State) -> None:
    execution = make_execution(state=state)
    allowed = api.get(f"executions/{execution.pk}/")["allowed"]
    for verb in ("resume", "retry", "signal", "pause", "terminate"):
        assert (ask(api, execution, verb).status < 300) == (verb in allowed), verb
    assert ("answer" in allowed) == (state == State.WAITING)


# Parts


def test_waits_are_told_in_order(api: Api) -> None:
    execution = sleeping()
    (wait,) = api.all(f"executions/{execution.pk}/waits/")
    assert set(wait) == {"key", "occurrence", "kind", "name", "due_at", "value", "started_at", "finished_at"}
    assert (wait["key"], wait["kind"], wait["value"], wait["finished_at"]) == ("nap", "time", None, None)


def test_children_name_their_parent_and_its_call(api: Api) -> None:
    parent, children = with_children(3)
    rows = api.all(f"executions/{parent.pk}/children/?limit=2")
    assert [row["id"] for row in rows] == [str(child.pk) for child in children]
    assert {(row["parent"], row["parent_key"]) for row in rows} == {(str(parent.pk), "run-1")}
