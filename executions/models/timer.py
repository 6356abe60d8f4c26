"""A moment at which the scheduler must act for an execution. A timer whose reason has gone does nothing."""

from __future__ import annotations

from django.db import models

from executions.models.execution import Execution
from executions.models.question import Question
from executions.models.wait import Wait


class Timer(models.Model):
    """Due at `due_at`. `generation` is the execution's token when it was set: what has been claimed since makes it stale,
    except for the deadline, which concerns the whole execution."""

    class Kind(models.TextChoices):
        QUESTION = "question"  # its deadline
        WAIT = "wait"  # a sleep's end, or the end of the patience for a signal
        QUEUE = "queue"  # nobody claimed it
        EXECUTION = "execution"  # it takes too long altogether
        STOP = "stop"  # a cancel was asked, and nobody has seen it end

    execution = models.ForeignKey(Execution, on_delete=models.PROTECT, related_name="timers")
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.QUESTION)
    question = models.ForeignKey(Question, null=True, on_delete=models.PROTECT, related_name="timers")
    wait = models.ForeignKey(Wait, null=True, on_delete=models.PROTECT, related_name="timers")
    generation = models.PositiveBigIntegerField()
    due_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.execution_id} {self.kind} due {self.due_at:%c}"
