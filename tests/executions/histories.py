"""About forty executions with histories of every kind, each made by the verbs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.utils import timezone

from executions import transitions
from executions.history import anchors
from executions.models import Execution, Question, Signal, Timer
from executions.retry import Category
from executions.states import Reason, State
from executions.transitions import Again, Child, Claim
from tasks.models import Queue
from tests.make import a_question, an_error, begin, claim_for, make_execution, make_task

numbers = itertools.count(1)


def new(state: State = State.PENDING, **wish: Any) -> Execution:
    """An execution in a queue of its own, so that nothing else is due before it."""
    queue = Queue.objects.create(name=f"alone-{next(numbers)}")
    return make_execution(state=state, queue=queue.name, **wish)


def running(**wish: Any) -> Claim:
    execution = new(**wish)
    return again(execution)


def again(execution: Execution) -> Claim:
    """Claim what stands in its queue and start it."""
    Execution.objects.filter(pk=execution.pk).update(available_at=None)
    claim = claim_for(Execution.objects.get(pk=execution.pk))
    begin(claim)
    return claim


def row(claim: Claim) -> Execution:
    return Execution.objects.get(pk=claim.execution_id)


def varied() -> list[Execution]:
    """All of them, with an anchor before the last few and one after."""
    for state in set(State) - {State.PAUSED}:
        new(state)
        new(state, input={"name": state.value, "numbers": [1, 2.5, "ü"]}, title=f"{state} twice")
    for story in (recorded, asked, slept, children, signalled, retried, gave_up, lost, drained, refused):
        story()
    anchors.make(timezone.now())
    for story in (frozen, frozen_while_running, frozen_while_waiting, thawed, tried_again, forked, stopped_late):
        story()
    anchors.make(timezone.now())
    return list(Execution.objects.order_by("number"))


def recorded() -> None:
    claim, now = running(), timezone.now()
    for n in range(5):
        transitions.step(claim, key=f"part-{n}", occurrence=0, input_hash="", value=n, seconds=0.1, now=now)
        transitions.progress(claim, fraction=n / 5, message=f"part {n}", now=now)
    transitions.checkpoint(claim, name="place", value={"at": 5}, now=now)
    transitions.diverged(claim, key="part-1", occurrence=0, recorded="a", met="b", policy="go", now=now)
    transitions.complete(claim, output={"parts": 5, "text": "done"}, now=now)


def asked() -> None:
    claim, now = running(), timezone.now()
    transitions.ask(claim, asked=a_question(), now=now)
    question = Question.objects.get(execution=claim.execution_id)
    transitions.answer(question.pk, value="yes", now=now, actor="user:mira", note="why not")
    transitions.complete(again(row(claim)), output="yes", now=now)


def slept() -> None:
    claim, now = running(), timezone.now()
    transitions.sleep(claim, key="sleep-1", occurrence=0, seconds=0.0, now=now)
    for timer in Timer.objects.filter(execution=claim.execution_id):
        transitions.fire(timer.pk, now=now, actor="scheduler")
    transitions.complete(again(row(claim)), output=None, now=now)


def children() -> None:
    make_task("child", queue="default")
    for name in ("one", "two"):
        Queue.objects.create(name=f"child-{name}")
    claim, now = running(), timezone.now()
    born = [Child(task="child", queue=f"child-{name}") for name in ("one", "two")]
    transitions.run(
        claim, key="run-1", occurrence=0, input_hash="", children=born, gathers=True, fail_fast=False, now=now
    )
    for child in Execution.objects.filter(parent=claim.execution_id).order_by("parent_index"):
        transitions.complete(again(child), output={"child": child.parent_index}, now=now)
    transitions.complete(again(row(claim)), output=2, now=now)


def signalled() -> None:
    claim, now = running(), timezone.now()
    transitions.signal(claim.execution_id, name="early", value=1, now=now, actor="user:mira")
    how: dict[str, Any] = {"occurrence": 0, "input_hash": "", "timeout": 60.0, "now": now}
    assert isinstance(transitions.await_signal(claim, key="s-1", name="early", **how), Signal)
    assert transitions.await_signal(claim, key="s-2", name="late", **how) is None
    transitions.signal(claim.execution_id, name="late", value=2, now=now, actor="user:mira")
    transitions.complete(again(row(claim)), output=[1, 2], now=now)


def retried() -> None:
    claim, now = running(), timezone.now()
    for _ in range(2):
        transitions.fail(claim, category=Category.ERROR, error=an_error(retryable=True), now=now)
        claim = again(row(claim))
    transitions.fail(claim, category=Category.RESOURCES, error=an_error("OutOfMemory"), now=now)
    transitions.complete(again(row(claim)), output="third", now=now)


def gave_up() -> None:
    claim, now = running(), timezone.now()
    for _ in range(3):
        transitions.fail(claim, category=Category.ERROR, error=an_error(retryable=True), now=now)
        claim = again(row(claim))
    transitions.fail(claim, category=Category.ERROR, error=an_error(retryable=True), now=now)
    assert row(claim).state == State.FAILED


def lost() -> None:
    claim, now = running(), timezone.now()
    transitions.reclaim(claim.execution_id, token=claim.token, now=now, actor="scheduler")
    silent = claim_for(row(claim))  # lost before its sandbox said hello: counts for nothing
    transitions.reclaim(claim.execution_id, token=silent.token, now=now, actor="scheduler")
    claim = again(row(claim))
    transitions.step(claim, key="a", occurrence=0, input_hash="", value=1, seconds=0.1, now=now)
    transitions.fail(claim, category=Category.ENVIRONMENT, error=an_error("NoSandbox"), now=now)


def drained() -> None:
    claim, now = running(), timezone.now()
    transitions.release(claim, now=now)
    transitions.complete(again(row(claim)), output={}, now=now)


def refused() -> None:
    """A late word of a worker, twice, after the end."""
    claim, now = running(), timezone.now()
    transitions.complete(claim, output={"n": 1}, now=now)
    for _ in range(2):
        try:
            transitions.cancel(claim.execution_id, now=now, actor="user:mira")
        except transitions.Refused:
            continue


def frozen() -> None:
    execution = new()
    transitions.pause(execution.pk, now=timezone.now(), actor="user:mira")


def frozen_while_running() -> None:
    claim, now = running(), timezone.now()
    transitions.pause(claim.execution_id, now=now, actor="user:mira")
    transitions.step(claim, key="a", occurrence=0, input_hash="", value=1, seconds=0.1, now=now)


def frozen_while_waiting() -> None:
    claim, now = running(), timezone.now()
    transitions.pause(claim.execution_id, now=now, actor="user:mira")
    transitions.ask(claim, asked=a_question(), now=now)


def thawed() -> None:
    claim, now = running(), timezone.now()
    transitions.ask(claim, asked=a_question(), now=now)
    transitions.pause(claim.execution_id, now=now, actor="user:mira")
    transitions.resume(claim.execution_id, now=now, actor="user:mira")
    transitions.pause(claim.execution_id, now=now, actor="user:mira")
    transitions.answer(Question.objects.get(execution=claim.execution_id).pk, value="no", now=now, actor="user:mira")
    transitions.resume(claim.execution_id, now=now, actor="user:mira")
    claim = again(row(claim))
    transitions.pause(claim.execution_id, now=now, actor="user:mira")
    transitions.resume(claim.execution_id, now=now, actor="user:mira")
    transitions.complete(claim, output=0, now=now)


def tried_again() -> None:
    claim, now = running(), timezone.now()
    transitions.fail(claim, category=Category.ERROR, error=an_error(), now=now)
    transitions.rerun(claim.execution_id, again=Again(input={"edited": True}), now=now, actor="user:mira")


def forked() -> None:
    claim, now = running(), timezone.now()
    transitions.ask(claim, asked=a_question(), now=now)
    question = Question.objects.get(execution=claim.execution_id)
    transitions.answer(question.pk, value="yes", now=now, actor="user:mira")
    transitions.reject(claim_for(row(claim)), reason_code=Reason.ENVIRONMENT, error=an_error("Rejected"), now=now)
    fork = Again(question=question.pk, answer="no")
    transitions.rerun(claim.execution_id, again=fork, now=now, actor="user:mira")


def stopped_late() -> None:
    claim, now = running(), timezone.now()
    transitions.cancel(claim.execution_id, now=now, actor="user:mira", reason="enough")
    transitions.stopped(claim, now=now)
    other = running()
    transitions.terminate(other.execution_id, now=now, actor="user:mira", reason="it hangs")


def older(execution: Execution, *, days: int) -> None:
    """Let an execution have ended that long ago, as its row and its history both tell: for retention alone."""
    Execution.objects.filter(pk=execution.pk).update(finished_at=timezone.now() - timedelta(days=days))


def each(rows: list[Execution]) -> Iterator[Execution]:
    return itertools.cycle(rows)
