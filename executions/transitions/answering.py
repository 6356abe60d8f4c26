"""answer, signal: what somebody outside tells an execution that waits for it.

Guarantee: a question is answered once. The answer and the move that follows from it are one transaction; whoever comes
second is told who answered what. A signal that comes early is kept.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from executions import answers
from executions.models import Execution, Question, Signal, Wait
from executions.states import FINAL, Reason, WaitingFor
from executions.transitions.moving import Refused, allowed_of, check_words, lock, note, refuse, verb, wake
from tasks.schema import Invalid, Problem
from tasks.sdk.canonical import encode

LONGEST_NAME = 200
LONGEST_SIGNAL = 256 * 1024  # bytes
MOST_SIGNALS = 1000  # that nobody has waited for yet
LONGEST_NOTE = 10_000
LONGEST_TOLD = 10_000  # bytes of an answer that its event repeats


@verb
def answer(question_id: UUID, *, value: Any, now: datetime, actor: str, note: str = "") -> Execution:
    """Answer a question: its execution goes on as soon as a slot is free.

    Raises Invalid where the value is no answer, Refused where the question is no longer open (saying who answered what).
    """
    check_words(value=value, note=note)
    question = Question.objects.get(pk=question_id)
    execution = lock(question.execution_id)
    question.refresh_from_db()  # the parent's lock is held now: nobody else can answer
    if question.state != Question.State.OPEN:
        allowed = allowed_of(execution)
        raise Refused(_closed(question), code=str(question.state), allowed=allowed, about=execution.pk)
    if wrong := answers.wrong_with(question, value):
        raise Invalid("That is no answer to this question.", wrong)
    return answered(question, execution, value, now=now, actor=actor, note=note) or refuse(execution, "answer")


@verb
def signal(pk: UUID, *, name: str, value: Any, now: datetime, actor: str, key: str | None = None) -> Execution:
    """Send a signal to an execution: it ends the wait for it, or is kept until its code waits. One sent twice under the same
    `key` counts once. Raises Refused where the execution has ended, or keeps as many as it may."""
    check_words(name=name, value=value, key=key)
    _check_signal(name, value)
    execution = lock(pk)
    if execution.state in FINAL:
        refuse(execution, "signal")
    if key is not None and (sent := Signal.objects.filter(execution=pk, name=name, key=key).first()):
        if encode(sent.value) != encode(value):
            message = f"The key “{key}” was sent with another value of “{name}”; use a new key."
            refuse(execution, "signal", message=message, code="key_conflict")
        return execution
    if Signal.objects.filter(execution=pk, taken_by=None)[MOST_SIGNALS - 1 :].exists():
        refuse(
            execution, "signal", message=f"{execution} keeps {MOST_SIGNALS} signals already.", code="too_many_signals"
        )
    sent = Signal.objects.create(execution=execution, name=name, key=key, value=value, sent_by=actor, sent_at=now)
    told = {"name": name, "key": key, "value": _shown(value)}
    wait = Wait.objects.filter(execution=pk, kind=WaitingFor.SIGNAL, name=name, finished_at=None).first()
    if wait is None:
        kept = note(Execution.objects.all(), pk, kind="signalled", now=now, actor=actor, data=told)
        return kept or refuse(execution, "signal")
    wait.value, wait.finished_at, sent.taken_by = {"value": value}, now, wait
    wait.save(update_fields=["value", "finished_at"])
    sent.save(update_fields=["taken_by"])
    goes_on = wake(execution, kind="signalled", now=now, actor=actor, reason_code=Reason.SIGNALLED, data=told)
    return goes_on or refuse(execution, "signal")


def _check_signal(name: str, value: Any) -> None:
    if not name.isprintable() or not 0 < len(name) <= LONGEST_NAME:
        problem = Problem(
            "/name", f"must be 1 to {LONGEST_NAME} printable characters: no code can wait for another name"
        )
        raise Invalid("That is no name of a signal.", [problem])
    if len(encode(value)) > LONGEST_SIGNAL:
        problem = Problem("/value", f"may take at most {LONGEST_SIGNAL // 1024} KiB as JSON")
        raise Invalid("That is too much for a signal: send where to find it.", [problem])


def answered(
    question: Question, execution: Execution, value: Any, *, now: datetime, actor: str, note: str
) -> Execution | None:
    """Record the answer of an open question whose execution is locked, and let it go on."""
    Question.objects.filter(pk=question.pk).update(
        state=Question.State.ANSWERED,
        answer=encode(value).decode(),
        answered_by=actor,
        answered_at=now,
        note=note[:LONGEST_NOTE],
    )
    told = {"question": str(question.pk), "key": question.key, "value": _shown(value)}
    return wake(
        execution, kind="answered", now=now, actor=actor, reason=note[:500], reason_code=Reason.ANSWERED, data=told
    )


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
