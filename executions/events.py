"""History: recorded inside the transaction that makes it true, announced after its commit.

Guarantee: an event and the change it tells of are committed together or not at all, and `seq` is dense per execution,
because its number is taken by the same UPDATE that moves the row. The announcement may be lost; whoever hears `committed`
is prompt by it and right without it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.dispatch import Signal

from executions.models import Event, Execution
from tasks.sdk.canonical import encode

logger = logging.getLogger(__name__)

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
    """Add the event whose number `execution.last_seq` was raised for, and announce it after commit."""
    event = Event.objects.create(
        execution=execution,
        seq=execution.last_seq,
        kind=kind,
        at=now,
        actor=actor,
        reason=reason[:500],
        data=encode(dict(data or {})).decode(),
    )
    announce(execution, kind=kind)
    return event


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
    transaction.on_commit(partial(_send, change), robust=True)


def _send(change: Change) -> None:
    for receiver, outcome in committed.send_robust("executions", change=change):
        if isinstance(outcome, Exception):
            logger.warning("a receiver of committed failed: %s: %r", receiver, outcome)
