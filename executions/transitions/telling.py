"""log, progress, step, checkpoint, diverged: what a running attempt says while it runs, each guarded by its claim.

Guarantee: a step that was acknowledged is committed. What the author's code prints is volume, not history: it is stored in
chunks, and only the last line reaches the card.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.db import IntegrityError
from django.db.models import F, Max

from executions import events
from executions.models import Claim, Event, Execution, LogChunk, Step, insert, pack, touched
from executions.states import Reason, State
from executions.transitions.ending import close_attempt
from executions.transitions.moving import Refused, held, move, note, resumed, stale, verb
from tasks.sdk.canonical import encode

MOST_EVENTS = 10_000  # of an execution: past it, its code may record nothing more


class Then(StrEnum):
    """What the author's code does after something was recorded."""

    GO = "go"
    CANCEL = "cancel"
    PAUSE = "pause"


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


def step(
    claim: Claim, *, key: str, occurrence: int, input_hash: str, value: Any, seconds: float, now: datetime
) -> Then:
    """Record a step's result; returns what its author's code does next.

    A newly recorded step is progress, so earlier losses are forgiven. Said twice (the first commit was not heard of), it
    counts once.
    """
    try:
        return _step(
            claim, key=key, occurrence=occurrence, input_hash=input_hash, value=value, seconds=seconds, now=now
        )
    except IntegrityError:
        return _recorded_before(claim, key=key, occurrence=occurrence, value=value, now=now)


@verb
def checkpoint(claim: Claim, *, name: str, value: Any, now: datetime) -> Then:
    """Record the author's own state under a name: every call is kept, a later attempt gets the newest."""
    told = {"name": name, "attempt": claim.attempt}
    recorded = note(held(claim), claim.execution_id, kind="checkpoint", now=now, actor=claim.actor, losses=0,
                    data=told) or stale(claim)  # fmt: skip
    _bounded(recorded)
    Step.objects.create(
        execution=recorded,
        kind=Step.Kind.CHECKPOINT,
        key=name,
        occurrence=_next_occurrence(recorded, name),
        attempt=claim.attempt,
        value=encode(value).decode(),
        started_at=now,
        finished_at=now,
    )
    return _then(recorded, claim, now=now)


def _next_occurrence(execution: Execution, name: str) -> int:
    """The place of a checkpoint among those of its name; a run that was resumed has taken over some."""
    earlier = Step.objects.filter(execution=execution, kind=Step.Kind.CHECKPOINT, key=name)
    return int(earlier.aggregate(newest=Max("occurrence", default=-1))["newest"]) + 1


@verb
def diverged(claim: Claim, *, key: str, occurrence: int, recorded: str, met: str, policy: str, now: datetime) -> None:
    """A recorded key was met again with another input or kind: kept in the history, whatever follows from it."""
    told = {"key": key, "occurrence": occurrence, "recorded": recorded, "met": met, "policy": policy}
    note(held(claim), claim.execution_id, kind="step_diverged", now=now, actor=claim.actor, data=told) or stale(claim)


@verb
def _step(
    claim: Claim, *, key: str, occurrence: int, input_hash: str, value: Any, seconds: float, now: datetime
) -> Then:
    told = {"key": key, "occurrence": occurrence, "attempt": claim.attempt, "seconds": round(seconds, 6)}
    recorded = note(held(claim), claim.execution_id, kind="step_recorded", now=now, actor=claim.actor, losses=0,
                    data=told) or stale(claim)  # fmt: skip
    _bounded(recorded)
    insert(
        [
            Step(
                execution=recorded,
                key=key,
                occurrence=occurrence,
                attempt=claim.attempt,
                input_hash=input_hash,
                value=encode(value).decode(),
                started_at=now - timedelta(seconds=max(seconds, 0.0)),
                finished_at=now,
            )
        ]
    )
    return _then(recorded, claim, now=now)


@verb
def _recorded_before(claim: Claim, *, key: str, occurrence: int, value: Any, now: datetime) -> Then:
    """The verdict on a step that is in the record already: once more where this attempt recorded it, else a refusal."""
    execution = held(claim).lean().select_for_update().filter(pk=claim.execution_id).first() or stale(claim)
    known = Step.objects.get(execution=execution, kind=Step.Kind.STEP, key=key, occurrence=occurrence)
    if (known.attempt, known.value) != (claim.attempt, encode(value).decode()):
        raise Refused(f"step “{key}” is recorded already", code="step_recorded", about=claim.execution_id)
    return _then(execution, claim, now=now)


def _then(recorded: Execution, claim: Claim, *, now: datetime) -> Then:
    """Go on, unless a cancel was asked; a pause that was asked is reached here, and frees the slot."""
    if recorded.state == State.CANCELLING:
        return Then.CANCEL
    if not recorded.pausing or recorded.state != State.RUNNING:
        return Then.GO
    move(held(claim), recorded.pk, State.PAUSED, kind="paused", now=now, actor=claim.actor, sources={State.RUNNING},
         reason_code=Reason.UNPAUSED, paused_from=State.RESUMING,
         **resumed(now, priority=recorded.priority))  # fmt: skip
    close_attempt(recorded.pk, "suspended", now=now)
    return Then.PAUSE


def _bounded(recorded: Execution) -> None:
    """Raise Refused for an execution whose history is as long as it may be; what was refused does not count."""
    if recorded.last_seq <= MOST_EVENTS:
        return
    if Event.objects.filter(execution=recorded).exclude(kind="write_refused").count() > MOST_EVENTS:
        message = f"an execution records at most {MOST_EVENTS} events (steps, checkpoints, questions …)"
        raise Refused(message, code="too_many_events", about=recorded.pk)
