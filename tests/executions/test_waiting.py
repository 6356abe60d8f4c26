"""Why is this not moving? One sentence, from the same facts that the claim goes by."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from executions import transitions, waiting
from executions.models import Execution, Worker
from executions.retry import Category
from executions.states import State
from tests.make import an_error, begin, claim_for, make_execution, make_task

pytestmark = pytest.mark.django_db


def enlist(**changes: Any) -> None:
    life: dict[str, Any] = {
        "host": "h",
        "pid": 1,
        "slots": 1,
        "queues": ["default"],
        "labels": {},
        "offers": ["python"],
    }
    life |= {"sandbox": "bwrap", "sandbox_problem": "", **changes}
    transitions.enlist("w1", **life, now=timezone.now())


def why(execution: Execution) -> waiting.Why:
    return waiting.reasons([Execution.objects.get(pk=execution.pk)])[execution.pk]


def test_no_worker_has_ever_served_the_queue() -> None:
    found = why(make_execution())
    assert (found.code, found.act) == ("no_worker", True)
    assert "manage.py worker --queues default" in found.sentence


def test_the_workers_are_lost_or_stopping() -> None:
    enlist()
    execution = make_execution()
    Worker.objects.update(state="draining")
    assert why(execution).code == "draining"
    Worker.objects.update(seen_at=timezone.now() - timedelta(hours=1))
    assert why(execution).code == "workers_lost"


def test_none_has_the_runtime_or_the_action() -> None:
    enlist()
    assert "the runtime “shell”" in why(make_execution(make_task("sh", runtime="shell"))).sentence
    action = make_task("act", kind="action", handler="mail.send")
    assert "the action “mail.send”" in why(make_execution(action)).sentence


def test_all_slots_are_busy_or_it_is_next() -> None:
    enlist()
    task = make_task()
    first = make_execution(task)
    assert why(first).code == "next"
    begin(claim_for(first))
    assert why(make_execution(task)).code == "slots_busy"


def test_what_starts_later_says_when() -> None:
    enlist()
    found = why(make_execution(start_at=timezone.now() + timedelta(hours=1)))
    assert (found.code, bool(found.due)) == ("not_before", True)


def test_a_retry_counts_down() -> None:
    enlist()
    execution = make_execution()
    claim = claim_for(execution)
    begin(claim)
    transitions.fail(claim, category=Category.ERROR, error=an_error(retryable=True), now=timezone.now())
    found = why(execution)
    assert (found.code, bool(found.due)) == ("retrying", True)


def test_a_question_is_the_reason() -> None:
    assert why(make_execution(state=State.WAITING)).sentence == "Waits for an answer: Go on?"


@pytest.mark.parametrize("state", [State.RUNNING, State.COMPLETED, State.FAILED])
def test_what_moves_or_has_ended_has_no_reason(state: State) -> None:
    execution = make_execution(state=state)
    assert execution.pk not in waiting.reasons([execution])


def test_a_page_of_cards_asks_little(django_assert_max_num_queries: Any) -> None:
    enlist()
    task = make_task()
    rows = [make_execution(task) for _ in range(20)]
    with django_assert_max_num_queries(3):
        assert len(waiting.reasons(rows)) == 20
