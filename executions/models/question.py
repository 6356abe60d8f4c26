"""What an author's code asks and a person answers, once."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from executions.models.execution import Execution, new_id
from tasks.models import JSONText

QUESTION_KINDS = ("approve", "choice", "choices", "text", "form", "edit", "file")


class Question(models.Model):
    """`options` are objects {value, label, consequence?}; `answer` is canonical JSON text, None until answered."""

    class State(models.TextChoices):
        OPEN = "open"
        ANSWERED = "answered"
        EXPIRED = "expired"
        WITHDRAWN = "withdrawn"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    execution = models.ForeignKey(Execution, on_delete=models.PROTECT, related_name="questions")
    key = models.CharField(max_length=200)
    occurrence = models.PositiveIntegerField(default=0)
    attempt = models.PositiveIntegerField()
    prompt = models.TextField()
    kind = models.CharField(max_length=10)
    options = JSONText(default=list)
    schema = JSONText(null=True)
    recommended = JSONText(null=True)
    deadline = models.DateTimeField(null=True)
    default = models.TextField(null=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    answer = models.TextField(null=True)
    note = models.TextField(blank=True)
    answered_by = models.CharField(max_length=200, blank=True)
    answered_at = models.DateTimeField(null=True)
    asked_at = models.DateTimeField()

    class Meta:
        ordering = ("asked_at", "id")
        constraints = [
            models.UniqueConstraint(fields=["execution", "key", "occurrence"], name="one_question_a_key"),
            models.CheckConstraint(condition=Q(kind__in=QUESTION_KINDS), name="question_kind_known"),
            models.CheckConstraint(
                condition=Q(state="answered", answer__isnull=False) | (~Q(state="answered") & Q(answer__isnull=True)),
                name="answer_iff_answered",
            ),
        ]
        indexes = [models.Index(fields=["asked_at"], name="open_questions", condition=Q(state="open"))]

    def __str__(self) -> str:
        return self.prompt[:80]
