"""What happened to an execution: append-only, `seq` dense from 1, refused UPDATE and DELETE by the database itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import models
from django.db.models import Q

from executions import seals
from executions.models.execution import Execution
from executions.states import FINAL


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event as it is stored, column by column."""

    execution_id: UUID
    seq: int
    kind: str
    at: datetime
    standing: str
    actor: str
    reason: str
    data: str
    hash: str

    def sealed_parts(self, previous: str) -> tuple[seals.Part, ...]:
        """What its seal is made of: everything that is stored of it, and the seal of the event before."""
        return ("event", previous, str(self.execution_id), self.seq, self.kind, seals.moment(self.at), self.standing,
                self.actor, self.reason, self.data)  # fmt: skip


EVENT_COLUMNS = tuple(EventRow.__slots__)


class Event(models.Model):
    """A fact, recorded once. `data` is canonical JSON as text, so that it is sealed exactly as stored; `hash` is its seal,
    over the seal of the event before it (empty: written before histories were sealed).

    `standing` says where the execution stands after it: its state, what it waits for, what it was paused from.
    """

    execution = models.ForeignKey(Execution, on_delete=models.PROTECT, related_name="events")
    seq = models.PositiveIntegerField()
    kind = models.CharField(max_length=30)
    at = models.DateTimeField()
    standing = models.CharField(max_length=60, blank=True, default="")
    actor = models.CharField(max_length=200)
    reason = models.CharField(max_length=500, blank=True)
    data = models.TextField(default="{}")
    hash = models.CharField(max_length=64, blank=True, default="")

    class Meta:
        ordering = ("execution", "seq")
        constraints = [
            models.UniqueConstraint(fields=["execution", "seq"], name="one_event_a_seq"),
            models.UniqueConstraint(fields=["execution"], condition=Q(kind__in=sorted(FINAL)), name="one_final_event"),
            models.CheckConstraint(condition=Q(seq__gte=1), name="seq_from_one"),
        ]

    def __str__(self) -> str:
        return f"{self.execution_id} {self.seq} {self.kind}"


def standing_of(row: Any) -> str:
    """Where an execution stands, as one text: `running`, `waiting for answer`, `paused from waiting for answer`."""
    words = [str(row.state)]
    if row.paused_from:
        words.append(f"from {row.paused_from}")
    if row.waiting_for:
        words.append(f"for {row.waiting_for}")
    if row.pausing:
        words.append("pausing")
    return " ".join(words)
