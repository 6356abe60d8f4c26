"""A moment at which the scheduler must act for an execution. A timer of an older generation does nothing."""

from __future__ import annotations

from django.db import models

from executions.models.execution import Execution
from executions.models.question import Question


class Timer(models.Model):
    """Due at `due_at`; it concerns `question` (its deadline). `generation` is the execution's token when it was set."""

    execution = models.ForeignKey(Execution, on_delete=models.PROTECT, related_name="timers")
    question = models.ForeignKey(Question, on_delete=models.PROTECT, related_name="timers")
    generation = models.PositiveBigIntegerField()
    due_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.execution_id} due {self.due_at:%c}"
