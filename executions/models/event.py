"""What happened to an execution: append-only, `seq` dense from 1, refused UPDATE and DELETE by the database itself."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from executions.models.execution import Execution
from executions.states import FINAL


class Event(models.Model):
    """A fact, recorded once. `data` is canonical JSON as text, so that it can be hashed exactly as stored; `hash` is empty
    until the history's chain begins."""

    execution = models.ForeignKey(Execution, on_delete=models.PROTECT, related_name="events")
    seq = models.PositiveIntegerField()
    kind = models.CharField(max_length=30)
    at = models.DateTimeField()
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
