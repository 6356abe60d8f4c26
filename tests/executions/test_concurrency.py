"""What one caller after the other cannot show: two at the same instant, each in a thread with a connection of its own.

A deadlock is an error of the database, and so a failure here; so is a wait of more than a minute.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from executions import clauses, queries, transitions
from executions.models import Event, Execution, Question, Signal, Timer
from executions.retry import Category
from executions.states import FINAL, State
from executions.transitions import Again, Child, Claim, Refused, Stale
from tasks.models import Task
from tests.make import a_question, an_error, begin, claim_for, make_execution, make_plan, make_task

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]

YEAR = timedelta(days=365)


def many() -> int:
    """So many at once: SQLite lets one write after the other anyway."""
    return 16 if connection.vendor == "postgresql" else 4


def rounds() -> range:
    return range(20 if connection.vendor == "postgresql" else 5)


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """Do all of them at the same instant: what each returned, or its refusal. Any other error is raised."""
    ready = threading.Barrier(len(acts))
    outcomes: list[Any] = [None] * len(acts)

    def run(place: int) -> None:
        try:
            connection.ensure_connection()
            ready.wait(30)
            outcomes[place] = acts[place]()
        except Exception as error:
            outcomes[place] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(place,), daemon=True) for place in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads), "somebody still waits for somebody"
    for outcome in outcomes:
        if isinstance(outcome, Exception) and not isinstance(outcome, Refused):
            raise outcome
    return outcomes


def done(outcomes: Iterable[Any]) -> list[Any]:
    return [outcome for outcome in outcomes if not isinstance(outcome, Refused)]


def running(execution: Execution | None = None) -> tuple[Execution, Claim]:
    found = execution or make_execution()
    claim = claim_for(found)
    begin(claim)
    return found, claim


def fresh(execution: Execution) -> Execution:
    return Execution.objects.get(pk=execution.pk)


def kinds(execution: Execution) -> Counter[str]:
    return Counter(Event.objects.filter(execution=execution).values_list("kind", flat=True))


def finish(execution: Execution) -> None:
    """Out of the way of the next round, whatever state it is in; and its clauses are asked."""
    family = [execution.pk, *clauses.births([execution.pk])]
    for pk in family:
        if Execution.objects.exclude(state__in=FINAL).filter(pk=pk).exists():
            transitions.terminate(pk, now=timezone.now(), actor="test", reason="the round is over")
    assert clauses.breaches(family) == []


def complete(claim: Claim) -> None:
    transitions.complete(claim, output={"n": 1}, now=timezone.now())


def fail(claim: Claim) -> None:
    transitions.fail(claim, category=Category.ERROR, error=an_error(), now=timezone.now())


def cancel(execution: Execution) -> Execution:
    return transitions.cancel(execution.pk, now=timezone.now(), actor="user:mira")


def answer(question: Question, value: str, by: int) -> Execution:
    return transitions.answer(question.pk, value=value, now=timezone.now(), actor=f"user:p{by}")


def asking(**question: Any) -> tuple[Execution, Question]:
    execution, claim = running()
    transitions.ask(claim, asked=a_question(**question), now=timezone.now())
    return fresh(execution), Question.objects.get(execution=execution)


def with_children(count: int) -> tuple[Execution, list[Claim]]:
    """A parent that waits for children, which all run."""
    parent, claim = running()
    transitions.run(claim, key="run-1", occurrence=0, input_hash="", children=[Child("greet")] * count, gathers=True,
                    fail_fast=False, now=timezone.now())  # fmt: skip
    offers = [parent.requires]
    claims = transitions.claim("w1", incarnation=1, queues=["default"], offers=offers, now=timezone.now(), most=count)
    for child in claims:
        begin(child)
    assert len(claims) == count
    return fresh(parent), claims


def test_of_two_hundred_answers_one_counts_and_the_others_are_told_whose() -> None:
    execution, question = asking()
    each = -(-200 // many())

    def keep_answering(by: int) -> list[Any]:
        said: list[Any] = []
        for n in range(each):
            try:
                said.append(answer(question, ("yes", "no")[(by + n) % 2], by))
            except Refused as refused:
                said.append(refused)
        return said

    said = [one for some in at_once(*(partial(keep_answering, by) for by in range(many()))) for one in some]
    question.refresh_from_db()
    assert len(said) >= 200
    assert len(done(said)) == 1
    who = question.answered_by.removeprefix("user:")
    assert {refused.message for refused in said if isinstance(refused, Refused)} == {
        f"{who} answered this already: {question.answer}"
    }
    assert kinds(execution)["answered"] == 1
    finish(execution)


def test_one_row_is_claimed_by_one() -> None:
    make_task()
    for _ in rounds():
        execution = make_execution()
        take = partial(transitions.claim, incarnation=1, queues=["default"], offers=["python"], now=timezone.now())
        claims = [claim for some in at_once(*(partial(take, f"w{n}") for n in range(many()))) for claim in some]
        assert [claim.execution_id for claim in claims] == [execution.pk]
        finish(execution)


def test_what_really_happened_wins_over_a_cancel_at_the_same_instant() -> None:
    for end, state in [(complete, State.COMPLETED), (fail, State.FAILED)] * len(rounds()):
        execution, claim = running()
        asked, said = at_once(partial(cancel, execution), partial(end, claim))
        assert said is None
        assert fresh(execution).state == state
        assert isinstance(asked, Refused) != kinds(execution)["cancel_requested"]
        finish(execution)


def test_of_two_ends_at_the_same_instant_one_counts() -> None:
    for _ in rounds():
        execution, claim = running()
        cancel(execution)
        stop = partial(transitions.stopped, claim, now=timezone.now())
        close = partial(transitions.terminate, execution.pk, now=timezone.now(), actor="user:mira", reason="enough")
        outcomes = at_once(stop, partial(complete, claim), partial(fail, claim), close)
        assert len(done(outcomes)) == 1
        assert sum(count for kind, count in kinds(execution).items() if kind in FINAL) == 1
        finish(execution)


def test_an_answer_and_a_cancel_at_the_same_instant_leave_nothing_open() -> None:
    for _ in rounds():
        execution, question = asking()
        answered, cancelled = at_once(partial(answer, question, "yes", 1), partial(cancel, execution))
        question.refresh_from_db()
        assert not isinstance(cancelled, Refused)
        assert fresh(execution).state == State.CANCELLED
        assert question.state == ("withdrawn" if isinstance(answered, Refused) else "answered")
        finish(execution)


def test_an_answer_at_the_deadline_is_one_answer() -> None:
    for _ in rounds():
        execution, question = asking(deadline=timezone.now() + YEAR, default="no", has_default=True)
        timer = Timer.objects.get(question=question)
        ring = partial(transitions.fire, timer.pk, now=timer.due_at, actor="scheduler")
        answered, *_ = at_once(partial(answer, question, "yes", 1), ring, ring)
        question.refresh_from_db()
        assert question.answer == ('"no"' if isinstance(answered, Refused) else '"yes"')
        assert kinds(execution)["answered"] == 1
        finish(execution)


def test_siblings_that_end_at_the_same_instant_wake_their_parent_once() -> None:
    make_task()
    for _ in rounds():
        parent, claims = with_children(min(many(), 8))
        at_once(*(partial((complete, fail)[n % 2], claim) for n, claim in enumerate(claims)))
        row = fresh(parent)
        assert (row.state, row.reason_code) == ("resuming", "children")
        assert kinds(parent)["child_ended"] == len(claims)
        finish(parent)


@pytest.mark.parametrize("verb", ["cancel", "terminate"])
def test_a_parent_that_is_stopped_while_its_children_end_waits_for_nobody_in_a_circle(verb: str) -> None:
    make_task()
    for _ in rounds():
        parent, claims = with_children(4)
        how = {"reason": "enough"} if verb == "terminate" else {}
        stop = partial(getattr(transitions, verb), parent.pk, now=timezone.now(), actor="user:mira", **how)
        stop_a_child = partial(cancel, Execution.objects.get(pk=claims[3].execution_id))
        at_once(stop, stop_a_child, *(partial((complete, fail)[n % 2], claim) for n, claim in enumerate(claims)))
        assert fresh(parent).is_final
        assert not Execution.objects.filter(parent=parent).exclude(state__in=FINAL).exists()
        finish(parent)


def test_two_schedulers_do_what_is_due_once() -> None:
    make_task()
    sleepers = []
    for n in range(10):
        execution, claim = running()
        transitions.sleep(claim, key="nap", occurrence=n, until=timezone.now() - YEAR, now=timezone.now())
        sleepers.append(execution)

    def sweep() -> None:
        for timer in queries.due_timers():
            transitions.fire(timer, now=timezone.now(), actor="scheduler")
        for pk in queries.to_cancel():
            transitions.cancel_child(pk, now=timezone.now())

    at_once(sweep, sweep, sweep)
    assert not Timer.objects.exists()
    for execution in sleepers:
        assert kinds(execution)["woken"] == 1
        finish(execution)


def test_a_lost_execution_is_taken_back_once() -> None:
    for _ in rounds():
        execution, claim = running()
        take = partial(
            transitions.reclaim, claim.execution_id, token=claim.token, now=timezone.now(), actor="scheduler"
        )
        taken = at_once(*[take] * min(many(), 6), partial(complete, claim))
        kept = kinds(execution)
        assert taken[:-1].count(True) == kept["lost"] == 1 - kept["completed"]
        assert isinstance(taken[-1], Stale) == bool(kept["lost"])
        finish(execution)


def test_two_launches_of_one_plan_are_one_execution() -> None:
    task = make_task()
    for _ in rounds():
        plan = make_plan(task)
        launch = partial(transitions.submit, task, input={}, now=timezone.now(), actor="user:mira", plan=plan)
        made = at_once(*[launch] * min(many(), 8))
        assert len({submission.execution.pk for submission in made}) == 1
        assert [submission.created for submission in made].count(True) == 1
        assert Execution.objects.filter(plan=plan).count() == 1


def test_a_key_that_many_use_at_once_makes_one_execution() -> None:
    task = make_task()
    for n in rounds():
        submit = partial(
            transitions.submit, task, input={}, now=timezone.now(), actor="token:ci", idempotency_key=f"key-{n}"
        )
        made = at_once(*[submit] * many())
        assert len({submission.execution.pk for submission in made}) == 1
        assert [submission.created for submission in made].count(True) == 1


def test_runs_of_one_lineage_never_share_a_number() -> None:
    for _ in rounds():
        old = make_execution(state=State.COMPLETED)
        again = partial(transitions.rerun, old.pk, again=Again(), now=timezone.now(), actor="user:mira")
        made = at_once(*[again] * min(many(), 8))
        assert sorted(new.run for new in made) == list(range(2, len(made) + 2))
        for new in made:
            finish(new)


def test_a_pause_and_a_step_at_the_same_instant_agree() -> None:
    for _ in rounds():
        execution, claim = running()
        step = partial(
            transitions.step, claim, key="a", occurrence=0, input_hash="", value=1, seconds=0, now=timezone.now()
        )
        _, then = at_once(partial(transitions.pause, execution.pk, now=timezone.now(), actor="user:mira"), step)
        row = fresh(execution)
        expected = ("paused", "resuming", False) if then == "pause" else ("running", "", True)
        assert (row.state, row.paused_from, row.pausing) == expected
        assert row.steps.count() == 1
        finish(execution)


def test_a_signal_that_comes_while_its_execution_begins_to_wait_is_not_lost() -> None:
    for _ in rounds():
        execution, claim = running()
        wait = partial(transitions.await_signal, claim, key="s-1", occurrence=0, input_hash="", name="paid", timeout=None,
                       now=timezone.now())  # fmt: skip
        send = partial(
            transitions.signal, execution.pk, name="paid", value=7, key="once", now=timezone.now(), actor="u"
        )
        taken, *_ = at_once(wait, send, send)
        assert fresh(execution).state == ("resuming" if taken is None else "running")
        assert Signal.objects.get(execution=execution).taken_by is not None
        finish(execution)


def test_what_is_submitted_at_once_has_numbers_of_its_own() -> None:
    task = Task.objects.filter(slug="greet").first() or make_task()
    submit = partial(transitions.submit, task, input={}, now=timezone.now(), actor="user:mira")
    made = at_once(*[submit] * many())
    assert len({submission.execution.number for submission in made}) == many()
