"""What was sent to an execution by name: kept until its code waits for it, so that one that comes early is not lost."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from executions.models.execution import Execution
from executions.models.wait import Wait
from tasks.models import JSONText


class Signal(models.Model):
    """One signal; the oldest of a name that no wait has taken is the next one that a wait takes. `key` makes it count once."""

    execution = models.ForeignKey(Execution, on_delete=models.PROTECT, related_name="signals")
    name = models.CharField(max_length=200)
    key = models.CharField(max_length=200, null=True)
    value = JSONText(null=True)
    sent_by = models.CharField(max_length=200)
    sent_at = models.DateTimeField()
    taken_by = models.OneToOneField(Wait, null=True, on_delete=models.PROTECT, related_name="signal")

    class Meta:
        ordering = ("execution", "id")
        constraints = [models.UniqueConstraint(fields=["execution", "name", "key"], name="one_signal_a_key")]
        indexes = [models.Index(fields=["execution", "name"], name="signals_to_take", condition=Q(taken_by=None))]

    def __str__(self) -> str:
        return f"{self.execution_id} {self.name}"
