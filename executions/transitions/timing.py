"""fire: what the scheduler does when a moment comes.

Guarantee: a timer whose reason has gone does nothing. What it does is one transaction with its own end, so two schedulers
that find it do it once.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta

from django.db.models import F

from executions.models import Execution, Question, Timer
from executions.states import FINAL, Reason, State, WaitingFor
from executions.transitions.answering import answered
from executions.transitions.ending import end, withdraw
from executions.transitions.moving import lock, verb, wake

LOOK_AGAIN = timedelta(minutes=1)  # at a queue's clock while its execution is paused


@verb
def fire(timer_id: int, *, now: datetime, actor: str) -> None:
    """Do what is due at this timer's moment, if that still concerns anybody."""
    known = Timer.objects.filter(pk=timer_id).values_list("execution", flat=True).first()
    if known is None:
        return
    execution = lock(known)
    timer = Timer.objects.select_related("question", "wait").filter(pk=timer_id).first()
    if timer is None:
        return  # another scheduler was faster
    timer.delete()
    if execution.state not in FINAL:
        DO[Timer.Kind(timer.kind)](timer, execution, now, actor)


def _question(timer: Timer, execution: Execution, now: datetime, actor: str) -> None:
    """Its default counts as the answer, or the execution fails for want of one."""
    question = timer.question
    if question is None or question.state != Question.State.OPEN:
        return
    if question.default is not None:
        answered(question, execution, json.loads(question.default), now=now, actor=actor, note="the deadline passed")
        return
    Question.objects.filter(pk=question.pk).update(state=Question.State.EXPIRED)
    message = f"Nobody answered “{question.prompt[:200]}” by its deadline."
    end(Execution.objects.all(), execution.pk, State.FAILED, now=now, actor=actor, reason_code=Reason.NO_ANSWER,
        failure={"type": "NoAnswer", "message": message, "category": "no_answer"})  # fmt: skip


def _wait(timer: Timer, execution: Execution, now: datetime, actor: str) -> None:
    """A sleep is over, or nobody has sent the signal in time."""
    wait = timer.wait
    if wait is None or wait.finished_at is not None:
        return
    wait.value = {"timed_out": True} if wait.kind == WaitingFor.SIGNAL else None
    wait.finished_at = now
    wait.save(update_fields=["value", "finished_at"])
    wake(execution, kind="woken", now=now, actor=actor, reason_code=Reason.TIMER, data={"key": wait.key})


def _queue(timer: Timer, execution: Execution, now: datetime, actor: str) -> None:
    """Nobody has claimed it in time. What a person froze is given its time when it goes on."""
    if execution.state == State.PAUSED and execution.paused_from == State.PENDING:
        timer.due_at = now + LOOK_AGAIN
        timer.save(force_insert=True)
    elif execution.state == State.PENDING:
        _time_out(execution, Reason.EXPIRED, "No worker started it in the time it may wait in its queue.", now, actor)


def _execution(timer: Timer, execution: Execution, now: datetime, actor: str) -> None:
    """It takes longer than it may altogether. Its worker, if it has one, loses it and ends its sandbox."""
    _time_out(execution, Reason.DEADLINE, "It took longer than it may altogether (timeouts.execution).", now, actor)


def _stop(timer: Timer, execution: Execution, now: datetime, actor: str) -> None:
    """A cancel was asked, and nobody has seen the sandbox end."""
    if execution.state == State.CANCELLING and execution.token == timer.generation:
        end(Execution.objects.all(), execution.pk, State.TERMINATED, now=now, actor=actor, token=F("token") + 1,
            reason_code=Reason.NOT_STOPPED, reason=f"{execution.worker} did not report that it stopped")  # fmt: skip


def _time_out(execution: Execution, why: Reason, message: str, now: datetime, actor: str) -> None:
    withdraw(execution.pk, now=now)
    end(Execution.objects.all(), execution.pk, State.TIMED_OUT, now=now, actor=actor, reason_code=why,
        token=F("token") + 1, failure={"type": "TimedOut", "message": message, "category": "timeout"})  # fmt: skip


DO: dict[Timer.Kind, Callable[[Timer, Execution, datetime, str], None]] = {
    Timer.Kind.QUESTION: _question,
    Timer.Kind.WAIT: _wait,
    Timer.Kind.QUEUE: _queue,
    Timer.Kind.EXECUTION: _execution,
    Timer.Kind.STOP: _stop,
}
