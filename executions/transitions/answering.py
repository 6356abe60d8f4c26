"""answer, cancel, and the timers that answer for people: what comes from outside a worker.

Guarantee: a question is answered once. The answer and the move that follows from it are one transaction; whoever comes
second is told who answered what.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import F

from executions import answers
from executions.models import Execution, Question, Timer
from executions.states import CLAIMABLE, FINAL, PARKED, Reason, State
from executions.transitions.ending import close_attempt, withdraw_questions
from executions.transitions.moving import Refused, check_words, move, refuse, resumed, verb
from tasks.schema import Invalid
from tasks.sdk.canonical import encode

LONGEST_NOTE = 10_000
LONGEST_TOLD = 10_000  # bytes of an answer that its event repeats


@verb
def answer(question_id: UUID, *, value: Any, now: datetime, actor: str, note: str = "") -> Execution:
    """Answer a question: its execution goes on as soon as a slot is free.

    Raises Invalid where the value is no answer, Refused where the question is no longer open (saying who answered what).
    """
    check_words(value=value, note=note)
    question = Question.objects.get(pk=question_id)
    execution = Execution.objects.lean().select_for_update().get(pk=question.execution_id)
    question.refresh_from_db()  # the parent's lock is held now: nobody else can answer
    if question.state != Question.State.OPEN:
        raise Refused(_closed(question), code=str(question.state), about=execution.pk)
    if wrong := answers.wrong_with(question, value):
        raise Invalid("That is no answer to this question.", wrong)
    return _answer(question, execution, value, now=now, actor=actor, note=note)


@verb
def cancel(pk: UUID, *, now: datetime, actor: str, reason: str = "") -> Execution:
    """Stop an execution: at once where no worker holds it, else as soon as its sandbox is seen to have ended."""
    check_words(reason=reason)
    execution = Execution.objects.lean().select_for_update().get(pk=pk)
    rows = Execution.objects.filter(token=execution.token)
    if execution.state in FINAL or execution.state == State.CANCELLING:
        refuse(execution, "cancel")
    if execution.state in CLAIMABLE | PARKED:
        withdraw_questions(pk)
        ended = move(rows, pk, State.CANCELLED, kind="cancelled", now=now, actor=actor, reason=reason,
                     reason_code=Reason.BY_PERSON, token=F("token") + 1)  # fmt: skip
        return ended or refuse(execution, "cancel")
    asked = move(rows, pk, State.CANCELLING, kind="cancel_requested", now=now, actor=actor, reason=reason,
                 reason_code=Reason.BY_PERSON)  # fmt: skip
    return asked or refuse(execution, "cancel")


@verb
def fire(timer_id: int, *, now: datetime, actor: str) -> None:
    """A question's deadline has passed: its default counts as the answer, or the execution fails for want of one."""
    timer = Timer.objects.select_related("question").filter(pk=timer_id).first()
    if timer is None:
        return
    execution = Execution.objects.lean().select_for_update().get(pk=timer.execution_id)
    timer.delete()
    question = timer.question
    question.refresh_from_db()
    if execution.token != timer.generation or question.state != Question.State.OPEN or execution.state != State.WAITING:
        return  # a stale timer does nothing
    if question.default is not None:
        _answer(question, execution, json.loads(question.default), now=now, actor=actor, note="the deadline passed")
        return
    Question.objects.filter(pk=question.pk).update(state=Question.State.EXPIRED)
    message = f"Nobody answered “{question.prompt[:200]}” by its deadline."
    move(
        Execution.objects.all(), execution.pk, State.FAILED, kind="failed", now=now, actor=actor, reason=message,
        reason_code=Reason.NO_ANSWER,
        error=encode({"type": "NoAnswer", "message": message, "category": "no_answer"}).decode(),
    )  # fmt: skip
    close_attempt(execution.pk, "failed", now=now)


def _answer(question: Question, execution: Execution, value: Any, *, now: datetime, actor: str, note: str) -> Execution:
    Question.objects.filter(pk=question.pk).update(
        state=Question.State.ANSWERED,
        answer=encode(value).decode(),
        answered_by=actor,
        answered_at=now,
        note=note[:LONGEST_NOTE],
    )
    goes_on = move(
        Execution.objects.all(), execution.pk, State.RESUMING, kind="answered", now=now, actor=actor,
        reason=note[:500], reason_code=Reason.ANSWERED, sources={State.WAITING},
        data={"question": str(question.pk), "key": question.key, "value": _shown(value)},
        **resumed(now, priority=execution.priority),
    )  # fmt: skip
    return goes_on or refuse(execution, "answer")


def _shown(value: Any) -> Any:
    """An answer as history tells it; a long one stands with its question."""
    return value if len(encode(value)) <= LONGEST_TOLD else "… see the question"


def _closed(question: Question) -> str:
    if question.state == Question.State.ANSWERED:
        by = question.answered_by.partition(":")[2] or question.answered_by
        return f"{by} answered this already: {str(question.answer)[:200]}"
    if question.state == Question.State.EXPIRED:
        return "The deadline of this question has passed."
    return "This question is no longer asked: its execution has ended."
