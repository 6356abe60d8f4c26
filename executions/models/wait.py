"""What an author's code waits for without holding a slot: a moment, its children, or a signal."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from executions.models.execution import Execution
from executions.states import WaitingFor
from tasks.models import JSONText

VERBS = {WaitingFor.TIME: "sleep", WaitingFor.CHILDREN: "run", WaitingFor.SIGNAL: "signal"}


class Wait(models.Model):
    """One call of sleep, run (or gather) or wait_for_signal; `value` is canonical JSON text, None while it goes on.

    `name` is the signal's; `gathers` tells a list of children from one; `fail_fast` cancels the other children when one fails;
    `due_at` is when a sleep, or the patience for a signal, ends.
    """

    execution = models.ForeignKey(Execution, on_delete=models.PROTECT, related_name="waits")
    key = models.CharField(max_length=200)
    occurrence = models.PositiveIntegerField(default=0)
    attempt = models.PositiveIntegerField()
    kind = models.CharField(max_length=10)
    input_hash = models.CharField(max_length=64, blank=True)
    name = models.CharField(max_length=200, blank=True)
    gathers = models.BooleanField(default=False)
    fail_fast = models.BooleanField(default=True)
    due_at = models.DateTimeField(null=True)
    value = JSONText(null=True)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("execution", "id")
        constraints = [
            models.UniqueConstraint(fields=["execution", "key", "occurrence"], name="one_wait_a_key"),
            models.UniqueConstraint(fields=["execution"], condition=Q(finished_at=None), name="one_open_wait"),
            models.CheckConstraint(condition=Q(kind__in=sorted(VERBS)), name="wait_kind_known"),
        ]

    def __str__(self) -> str:
        return f"{self.execution_id} {self.key}"

    @property
    def verb(self) -> str:
        """What the author called: sleep, run or signal."""
        return VERBS[WaitingFor(self.kind)]
