"""What came of one tick of a schedule: the row that proves that it was fired, and keeps it from being fired again."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from executions.models.execution import Execution
from tasks.models import Schedule


class Firing(models.Model):
    """Written in one transaction with its execution, once for each schedule and tick. Where the submission was refused there is
    no execution, and `refused` says why. It goes with its execution when that is pruned."""

    schedule = models.ForeignKey(Schedule, on_delete=models.PROTECT, related_name="firings")
    fire_at = models.DateTimeField()
    fired_at = models.DateTimeField()
    execution = models.OneToOneField(Execution, null=True, on_delete=models.PROTECT, related_name="firing")
    refused = models.CharField(max_length=1000, blank=True)

    class Meta:
        ordering = ("-fire_at", "-id")
        constraints = [
            models.UniqueConstraint(fields=["schedule", "fire_at"], name="one_firing_a_tick"),
            models.CheckConstraint(
                condition=Q(execution=None) & ~Q(refused="") | Q(execution__isnull=False, refused=""),
                name="firing_made_or_refused",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.schedule_id} at {self.fire_at:%Y-%m-%d %H:%M:%S}"
