"""Why is this not moving? One sentence, from the same facts that the claim goes by."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from executions import transitions, waiting
from executions.models import Execution, Timer, Worker
from executions.retry import Category
from executions.states import State
from tests.executions.lives import awaiting, end, paused, running, sleeping, with_children
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


def test_a_sleep_says_until_when() -> None:
    found = why(sleeping(3600))
    assert (found.code, found.act, bool(found.due)) == ("waiting_for_time", False, True)
    assert found.sentence.startswith("Sleeps until ")


def test_children_are_counted_as_they_end() -> None:
    parent, children = with_children(3)
    assert why(parent).sentence == "Waits for 3 of 3 children."
    end(children[0])
    found = why(parent)
    assert (found.code, found.sentence) == ("waiting_for_children", "Waits for 2 of 3 children.")


def test_a_signal_is_named_with_its_patience() -> None:
    found = why(awaiting("paid", timeout=60))
    assert (found.code, bool(found.due)) == ("waiting_for_signal", True)
    assert found.sentence.startswith("Waits for the signal “paid” until ")


def test_a_pause_names_who_asked_for_it_and_why() -> None:
    found = why(paused(reason="until Monday"))
    assert (found.code, found.act) == ("paused", True)
    assert found.sentence == "Paused by mira: until Monday. Resume lets it go on."
    assert why(paused(actor="token:bot (boss)")).sentence == "Paused by bot (boss). Resume lets it go on."


def test_a_pause_that_its_worker_reached_names_the_person_and_not_the_worker() -> None:
    execution, claim = running()
    transitions.pause(execution.pk, now=timezone.now(), actor="user:mira", reason="lunch")
    assert why(execution).code == "pausing"
    transitions.step(claim, key="a", occurrence=0, input_hash="", value=1, seconds=0, now=timezone.now())
    assert why(execution).sentence == "Paused by mira: lunch. Resume lets it go on."


def test_what_was_closed_says_by_whom_and_why() -> None:
    execution = make_execution()
    transitions.terminate(execution.pk, now=timezone.now(), actor="user:mira", reason="it hangs")
    assert why(execution).sentence == "Terminated by mira: it hangs"
    assert "Nobody saw it stop" in why(make_execution(state=State.TERMINATED)).sentence


def test_what_a_limit_left_no_room_for_says_so() -> None:
    task = make_task(concurrency={"limit": 1, "on_conflict": "skip"})
    make_execution(task)
    assert why(make_execution(task)).sentence.startswith("Cancelled: the limit of its task left no room")


def test_what_waited_too_long_for_a_worker_says_so() -> None:
    execution = make_execution(ttl=1)
    timer = Timer.objects.get(execution=execution)
    transitions.fire(timer.pk, now=timer.due_at, actor="scheduler")
    assert (why(execution).code, "No worker started it" in why(execution).sentence) == ("expired", True)


@pytest.mark.parametrize("state", [State.RUNNING, State.COMPLETED, State.FAILED])
def test_what_moves_or_has_ended_has_no_reason(state: State) -> None:
    execution = make_execution(state=state)
    assert execution.pk not in waiting.reasons([execution])


def test_a_page_of_cards_asks_little(django_assert_max_num_queries: Any) -> None:
    enlist()
    task = make_task()
    rows = [make_execution(task) for _ in range(20)]
    with django_assert_max_num_queries(5):
        assert len(waiting.reasons(rows)) == 20


def test_a_page_of_all_that_stands_still_asks_once_a_kind(django_assert_max_num_queries: Any) -> None:
    enlist()
    for _ in range(3):
        parent, children = with_children(2)
        for child in children:
            transitions.cancel(child.pk, now=timezone.now(), actor="user:mira")
        transitions.pause(parent.pk, now=timezone.now(), actor="user:mira")
    for _ in range(3):
        with_children(0), sleeping(), awaiting(), make_execution(state=State.WAITING)
    make_execution()
    rows = list(Execution.objects.lean())
    with django_assert_max_num_queries(8):  # workers, busy slots; prompts, waits, children, words
        assert len(waiting.reasons(rows)) >= 16
