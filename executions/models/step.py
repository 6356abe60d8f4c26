"""What an execution has recorded: a step's value is returned on every later attempt, and its code is not run again."""

from __future__ import annotations

from django.db import models

from executions.models.execution import Execution


class Step(models.Model):
    """One recorded result by key and occurrence; `value` is canonical JSON text, `input_hash` what it was called with.

    A checkpoint is the author's own state by name: the newest occurrence counts. `copied` marks what a resumed run took over.
    """

    class Kind(models.TextChoices):
        STEP = "step"
        CHECKPOINT = "checkpoint"

    execution = models.ForeignKey(Execution, on_delete=models.PROTECT, related_name="steps")
    key = models.CharField(max_length=200)
    occurrence = models.PositiveIntegerField(default=0)
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.STEP)
    copied = models.BooleanField(default=False)
    attempt = models.PositiveIntegerField()
    input_hash = models.CharField(max_length=64, blank=True)
    value = models.TextField()
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()

    class Meta:
        ordering = ("execution", "id")
        constraints = [
            models.UniqueConstraint(fields=["execution", "kind", "key", "occurrence"], name="one_result_a_step")
        ]

    def __str__(self) -> str:
        return f"{self.execution_id} {self.key}"
