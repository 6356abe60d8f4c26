"""History: recorded inside the transaction that makes it true, announced after its commit.

Guarantee: an event and the change it tells of are committed together or not at all, and `seq` is dense per execution,
because its number is taken by the same UPDATE that moves the row. The announcement may be lost; whoever hears `committed`
is prompt by it and right without it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.dispatch import Signal

from executions import seals
from executions.models import Event, EventRow, Execution, insert, standing_of
from tasks.sdk.canonical import encode

logger = logging.getLogger(__name__)

DIGESTED = ("input", "output", "error")

committed = Signal()  # sender: str, change: Change


@dataclass(frozen=True, slots=True)
class Change:
    """What became of an execution: enough to find it, and to know whether a worker or a browser cares."""

    execution_id: UUID
    revision: int
    kind: str
    state: str
    queue: str
    is_due: bool
    last_line: int


def record(
    execution: Execution,
    kind: str,
    *,
    now: datetime,
    actor: str,
    reason: str = "",
    data: Mapping[str, Any] | None = None,
) -> Event:
    """Add the event whose number `execution.last_seq` was raised for, sealed, and announce it after commit."""
    event = _sealed(execution, kind, now=now, actor=actor, reason=reason, data=data)
    insert([event])
    announce(execution, kind=kind)
    return event


def record_all(
    executions: Sequence[Execution],
    kind: str,
    *,
    now: datetime,
    actor: str,
    data: Callable[[Execution], Mapping[str, Any]] | None = None,
) -> None:
    """The same for several executions that moved together, in one statement; `data` says what each event tells."""
    insert(
        [_sealed(one, kind, now=now, actor=actor, reason="", data=data(one) if data else None) for one in executions]
    )
    for execution in executions:
        announce(execution, kind=kind)


@dataclass(frozen=True, slots=True)
class Told:
    """One of several events that a single change of a row stands for, and the state after it."""

    kind: str
    state: str
    at: datetime
    data: Mapping[str, Any]


def record_each(executions: Sequence[Execution], tell: Callable[[Execution], Sequence[Told]], *, actor: str) -> None:
    """Add several events to each execution, whose `last_seq` was raised for all of them, and announce the last one."""
    written: list[Event] = []
    for execution in executions:
        told, head = tell(execution), None
        for seq, one in enumerate(told, start=execution.last_seq - len(told) + 1):
            event = _sealed(execution, one.kind, now=one.at, actor=actor, reason="", data=one.data, seq=seq,
                            standing=one.state, head=head)  # fmt: skip
            head = event.hash
            written.append(event)
        announce(execution, kind=told[-1].kind)
    insert(written)


def with_digests(data: Mapping[str, Any] | None, changes: Mapping[str, Any]) -> dict[str, Any]:
    """What an event tells, with the digest of each large text of the row that changes with it (None: there is none now)."""
    digests = {
        f"{name}_digest": None if changes[name] is None else seals.digest(changes[name])
        for name in DIGESTED
        if name in changes
    }
    return {**(data or {}), **digests}


def announce(execution: Execution, *, kind: str) -> None:
    """Tell the house after commit; a receiver that fails delays a card, never a request."""
    change = Change(
        execution_id=execution.pk,
        revision=execution.revision,
        kind=kind,
        state=execution.state,
        queue=execution.queue,
        is_due=execution.available_at is None,
        last_line=execution.last_line,
    )
    transaction.on_commit(lambda: _send(change), robust=True)


def _sealed(
    execution: Execution,
    kind: str,
    *,
    now: datetime,
    actor: str,
    reason: str,
    data: Mapping[str, Any] | None,
    seq: int | None = None,
    standing: str = "",
    head: str | None = None,
) -> Event:
    """The event, not yet written, with its seal over the event before it: the newest one of this execution, unless `seq`,
    `standing` and the `head` before it say otherwise."""
    told = EventRow(
        execution_id=execution.pk,
        seq=seq or execution.last_seq,
        kind=kind,
        at=now,
        standing=standing or standing_of(execution),
        actor=actor,
        reason=reason[:500],
        data=encode(dict(data or {})).decode(),
        hash="",
    )
    return Event(
        execution=execution,
        seq=told.seq,
        kind=told.kind,
        at=told.at,
        standing=told.standing,
        actor=told.actor,
        reason=told.reason,
        data=told.data,
        hash=seals.seal(*told.sealed_parts(_head(execution, told.seq) if head is None else head)),
    )


def _head(execution: Execution, seq: int) -> str:
    """The seal of the event before: it came with the row (`head`), unless somebody else's commit was waited for meanwhile:
    then PostgreSQL's statement has seen their row, and not yet their event."""
    if seq == 1:
        return ""
    head: str | None = vars(execution)["head"]
    if head is not None:
        return head
    return Event.objects.values_list("hash", flat=True).get(execution=execution, seq=seq - 1)


def _send(change: Change) -> None:
    for receiver, outcome in committed.send_robust("executions", change=change):
        if isinstance(outcome, Exception):
            logger.warning("a receiver of committed failed: %s: %r", receiver, outcome)
