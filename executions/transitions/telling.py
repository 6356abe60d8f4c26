"""log, progress, step, ask: what a running attempt says, each guarded by its claim.

Guarantee: a step or a question that was acknowledged is committed. What the author's code prints is volume, not history:
it is stored in chunks, and only the last line reaches the card.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F

from executions import events
from executions.models import Claim, Execution, LogChunk, Question, Step, Timer, pack, touched
from executions.states import Reason, State, WaitingFor
from executions.transitions.ending import close_attempt
from executions.transitions.moving import Refused, by_claim, held, note, stale, verb
from tasks.schema import schema_problem
from tasks.sdk.canonical import encode

MOST_STEPS = 10_000


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as the author's code put it; `default` counts when the deadline passes."""

    key: str
    prompt: str
    kind: str
    occurrence: int = 0
    options: Sequence[Mapping[str, Any]] = ()
    schema: Mapping[str, Any] | None = None
    recommended: Any = None
    deadline: datetime | None = None
    default: Any = None
    has_default: bool = False


@verb
def log(claim: Claim, *, lines: Sequence[tuple[float, str, str, str]], message: str | None, now: datetime) -> None:
    """Store lines (unix time, stream, level, text) as one chunk; `message` is the last line where the card should show it."""
    card: dict[str, Any] = touched(message=message[:500]) if message is not None else {}
    if not held(claim).filter(pk=claim.execution_id).update(last_line=F("last_line") + len(lines), **card):
        stale(claim)
    execution = Execution.objects.lean().get(pk=claim.execution_id)
    LogChunk.objects.create(
        execution=execution,
        attempt=claim.attempt,
        first=execution.last_line - len(lines) + 1,
        last=execution.last_line,
        body=pack(lines),
    )
    events.announce(execution, kind="log" if message is None else "log_and_card")


@verb
def progress(claim: Claim, *, fraction: float | None, message: str, now: datetime, line: str = "") -> None:
    """How far the work is (0 … 1; None says nothing new) and a word about it; an event only at every tenth part.

    `line` is what was printed since: the card shows it, the history keeps the author's own word.
    """
    rows = held(claim)
    changes: dict[str, Any] = {"message": (line or message)[:500]}
    if fraction is not None:
        before = rows.filter(pk=claim.execution_id).values_list("progress", flat=True).first()
        changes["progress"] = fraction
        if int((before or 0.0) * 10) != int(fraction * 10):
            told = {"fraction": fraction, "message": message[:500]}
            note(
                rows, claim.execution_id, kind="progress_reported", now=now, actor=claim.actor, data=told, **changes
            ) or stale(claim)
            return
    if not rows.filter(pk=claim.execution_id).update(**touched(**changes)):
        stale(claim)
    events.announce(Execution.objects.lean().get(pk=claim.execution_id), kind="progress")


@verb
def step(claim: Claim, *, key: str, occurrence: int, input_hash: str, value: Any, seconds: float, now: datetime) -> str:
    """Record a step's result; returns what its author's code does next: `go`, or `stop` where a cancel was asked.

    A newly recorded step is progress, so earlier losses are forgiven.
    """
    recorded = note(
        held(claim), claim.execution_id, kind="step_recorded", now=now, actor=claim.actor, losses=0,
        data={"key": key, "occurrence": occurrence, "attempt": claim.attempt, "seconds": round(seconds, 6)},
    ) or stale(claim)  # fmt: skip
    if Step.objects.filter(execution=recorded, key=key, occurrence=occurrence).exists():
        raise Refused(f"step “{key}” is recorded already", code="step_recorded", about=claim.execution_id)
    if Step.objects.filter(execution=recorded)[MOST_STEPS - 1 :].exists():
        raise Refused(
            f"an execution records at most {MOST_STEPS} steps", code="too_many_steps", about=claim.execution_id
        )
    Step.objects.create(
        execution=recorded,
        key=key,
        occurrence=occurrence,
        attempt=claim.attempt,
        input_hash=input_hash,
        value=encode(value).decode(),
        started_at=now - timedelta(seconds=max(seconds, 0.0)),
        finished_at=now,
    )
    return "stop" if recorded.state == State.CANCELLING else "go"


@verb
def ask(claim: Claim, *, asked: Asked, now: datetime) -> None:
    """Record a question; the execution waits and holds no slot. One that nobody could answer is refused."""
    if asked.schema is not None and (wrong := schema_problem(asked.schema)):
        message = f"The schema of the question “{asked.key}” {wrong}."
        raise Refused(message, code="bad_question", about=claim.execution_id)
    told = {"key": asked.key, "prompt": asked.prompt[:500], "kind": asked.kind, "attempt": claim.attempt}
    waiting = by_claim(
        claim, State.WAITING, kind="asked", now=now, data=told, reason=asked.prompt[:500],
        reason_code=Reason.NONE, sources={State.RUNNING}, waiting_for=WaitingFor.ANSWER, worker="", incarnation=0,
    )  # fmt: skip
    question = Question.objects.create(
        execution=waiting,
        key=asked.key,
        occurrence=asked.occurrence,
        attempt=claim.attempt,
        prompt=asked.prompt,
        kind=asked.kind,
        options=[dict(option) for option in asked.options],
        schema=dict(asked.schema) if asked.schema is not None else None,
        recommended=asked.recommended,
        deadline=asked.deadline,
        default=encode(asked.default).decode() if asked.has_default else None,
        asked_at=now,
    )
    if question.deadline is not None:
        Timer.objects.create(execution=waiting, question=question, generation=waiting.token, due_at=question.deadline)
    close_attempt(claim.execution_id, "suspended", now=now)
