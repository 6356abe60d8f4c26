"""One claim of an execution by one worker. Never overwritten: history keeps what each attempt met."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db import models
from django.db.models import Q

from executions.models.execution import Execution


@dataclass(frozen=True, slots=True)
class Claim:
    """Proof that a worker holds an execution: everything it says, it says with this."""

    execution_id: UUID
    token: int
    attempt: int
    worker: str
    incarnation: int
    parent_id: UUID | None = None

    @property
    def actor(self) -> str:
        return f"worker:{self.worker}"


class Attempt(models.Model):
    """`outcome` is empty while it goes on; then completed, failed, timed_out, rejected, cancelled, terminated, suspended,
    lost, or released. `rated_task` is its task's id where a rate counts it; then `claimed_at` is the database's clock."""

    execution = models.ForeignKey(Execution, on_delete=models.PROTECT, related_name="attempts")
    number = models.PositiveIntegerField()
    token = models.PositiveBigIntegerField()
    worker = models.CharField(max_length=100)
    incarnation = models.PositiveIntegerField(default=0)
    method = models.CharField(max_length=20, blank=True)
    driver = models.CharField(max_length=20, blank=True)
    sandbox = models.CharField(max_length=100, blank=True)
    choice = models.CharField(max_length=300, blank=True)
    claimed_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=20, blank=True)
    rated_task = models.PositiveBigIntegerField(null=True)
    error = models.TextField(null=True)

    class Meta:
        ordering = ("execution", "number")
        constraints = [
            models.UniqueConstraint(fields=["execution", "number"], name="one_attempt_a_number"),
            models.UniqueConstraint(fields=["execution"], condition=Q(outcome=""), name="one_open_attempt"),
        ]
        indexes = [
            models.Index(fields=["rated_task", "-claimed_at"], name="rated", condition=Q(rated_task__isnull=False))
        ]

    def __str__(self) -> str:
        return f"{self.execution_id} attempt {self.number}"
