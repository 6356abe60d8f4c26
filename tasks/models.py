"""What may run, and by whom: tasks and their versions, plans, queues, schedules, tokens. Fields, constraints, questions."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models
from django.db.models import Q

from tasks.sdk.canonical import encode
from tasks.ticks import Ticks

if TYPE_CHECKING:
    Text = models.Field[Any, Any]
else:
    Text = models.TextField


class JSONText(Text):
    """A JSON value kept as its canonical text: members keep their order, numbers their digits (JSONB would change both).

    The order matters to people: a form shows its fields as the schema names them.
    """

    def from_db_value(self, text: str | None, *_: Any) -> Any:
        return None if text is None else json.loads(text)

    def to_python(self, value: Any) -> Any:
        return value

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else encode(value).decode()


KINDS = ("script", "action", "container", "function", "flow", "agent")
PRIORITIES = ("urgent", "high", "normal", "low")


class Queue(models.Model):
    """A named line of executions; workers say which they serve. At most `limit` of it are held at once, by all workers
    together (None: as many as there are slots); while it is paused nothing of it is claimed, and what runs goes on."""

    name = models.SlugField(max_length=100, unique=True)
    description = models.CharField(max_length=500, blank=True)
    limit = models.PositiveIntegerField(null=True, blank=True)
    paused_at = models.DateTimeField(null=True, blank=True)
    paused_by = models.CharField(max_length=200, blank=True, db_default="")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("name",)
        constraints = [models.CheckConstraint(condition=Q(limit=None) | Q(limit__gte=1), name="queue_limit_from_one")]

    def __str__(self) -> str:
        return self.name

    @property
    def is_paused(self) -> bool:
        return self.paused_at is not None


class TaskQuerySet(models.QuerySet["Task"]):
    def in_library(self) -> TaskQuerySet:
        """Tasks that can be planned and run, with their newest version."""
        return self.filter(archived_at=None, latest__isnull=False).select_related("latest").order_by("title", "slug")


class Task(models.Model):
    """What may run. What it does stands in its versions; `latest` is the one a new execution gets."""

    slug = models.SlugField(max_length=100, unique=True)
    title = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    latest = models.OneToOneField("TaskVersion", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    archived_at = models.DateTimeField(null=True, blank=True)

    objects = TaskQuerySet.as_manager()

    class Meta:
        ordering = ("title", "slug")

    def __str__(self) -> str:
        return self.slug


class TaskVersion(models.Model):
    """One immutable wording of a task: the database refuses UPDATE and DELETE (`append_only`)."""

    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    kind = models.CharField(max_length=20)
    runtime = models.CharField(max_length=20, blank=True)
    source = models.TextField(blank=True)
    handler = models.CharField(max_length=200, blank=True)
    input_schema = JSONText(default=dict)
    output_schema = JSONText(default=dict)
    queue = models.CharField(max_length=100, default="default")
    priority = models.CharField(max_length=10, default="normal")
    environment = models.CharField(max_length=50, blank=True)
    agent = models.CharField(max_length=100, blank=True)
    team = models.CharField(max_length=100, blank=True)
    labels = models.JSONField(default=list)
    touches = models.JSONField(default=list)
    retry = JSONText(default=dict)
    limits = JSONText(default=dict)
    timeouts = JSONText(default=dict)
    concurrency = JSONText(default=dict, db_default={})
    rate = JSONText(default=dict, db_default={})
    security = JSONText(default=dict)
    environment_variables = JSONText(default=dict)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ("task", "-number")
        constraints = [
            models.UniqueConstraint(fields=["task", "number"], name="one_version_a_number"),
            models.CheckConstraint(condition=Q(kind__in=KINDS), name="version_kind_known"),
            models.CheckConstraint(condition=Q(priority__in=PRIORITIES), name="version_priority_known"),
        ]

    def __str__(self) -> str:
        return f"{self.task.slug} v{self.number}"

    @property
    def requires(self) -> str:
        """What a worker must offer to run this: a runtime, or a registered handler."""
        return f"action:{self.handler}" if self.kind == "action" else self.runtime


class PlanQuerySet(models.QuerySet["Plan"]):
    def standing(self) -> PlanQuerySet:
        """What stands in Planning, in its order."""
        return self.filter(state=Plan.State.PLANNED).select_related("task", "task__latest").order_by("position", "id")


class Plan(models.Model):
    """A task standing in Planning, not yet an execution. Never deleted: launched or removed."""

    class State(models.TextChoices):
        PLANNED = "planned"
        LAUNCHED = "launched"
        REMOVED = "removed"

    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="plans")
    input = JSONText(null=True, blank=True)
    title = models.CharField(max_length=200, blank=True)
    note = models.TextField(blank=True)
    position = models.FloatField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.PLANNED)
    version = models.PositiveIntegerField(default=1)
    changed_at = models.DateTimeField()
    created_at = models.DateTimeField()
    planned_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    objects = PlanQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["position", "id"], name="plans_standing", condition=Q(state="planned")),
            models.Index(fields=["changed_at"], name="plans_changed"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """What the card is called: its own title, else its task's."""
        return self.title or self.task.title


class ScheduleQuerySet(models.QuerySet["Schedule"]):
    def standing(self) -> ScheduleQuerySet:
        """Those that were not removed, with their task."""
        return self.filter(removed_at=None).select_related("task", "task__latest")

    def due(self, now: datetime) -> ScheduleQuerySet:
        """Those whose next tick has come, the longest due first."""
        return self.filter(next_at__lte=now).order_by("next_at", "id")


class Schedule(models.Model):
    """A rule in time by which a task is run: `cron` in `timezone`, or every so many seconds. `next_at` is the next tick that is
    not fired yet; a paused or removed schedule has none. Never deleted but removed; then its name is free again."""

    class Missed(models.TextChoices):
        """What becomes of ticks that nobody was there to fire."""

        SKIP = "skip"
        ONE = "one"
        ALL = "all"

    name = models.SlugField(max_length=100)
    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="schedules")
    input = JSONText(default=dict)
    cron = models.CharField(max_length=200, blank=True)
    every = models.PositiveIntegerField(null=True, blank=True)
    timezone = models.CharField(max_length=100, default="UTC")
    missed = models.CharField(max_length=4, choices=Missed.choices, default=Missed.ONE)
    since = models.DateTimeField()
    next_at = models.DateTimeField(null=True, blank=True, db_index=True)
    paused_at = models.DateTimeField(null=True, blank=True)
    paused_by = models.CharField(max_length=200, blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200, blank=True)
    changed_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True, blank=True)

    objects = ScheduleQuerySet.as_manager()

    class Meta:
        ordering = ("name",)
        constraints = [
            models.UniqueConstraint(fields=["name"], condition=Q(removed_at=None), name="one_schedule_a_name"),
            models.CheckConstraint(
                condition=Q(cron="", every__isnull=False, every__gte=1) | (~Q(cron="") & Q(every=None)),
                name="schedule_has_one_rule",
            ),
            models.CheckConstraint(
                condition=Q(next_at=None) | Q(paused_at=None, removed_at=None),
                name="schedule_stands_still_or_has_a_next",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def ticks(self) -> Ticks:
        return Ticks(self.cron, self.timezone, self.every, self.since)

    def following(self, count: int) -> list[datetime]:
        """Its next ticks, at most so many; none while it is paused."""
        if self.next_at is None:
            return []
        return [self.next_at, *self.ticks.upcoming(self.next_at, count=count - 1)]


class Token(models.Model):
    """A key to the API: only the SHA-256 of its secret is kept. Its scopes never exceed what its user may do now."""

    name = models.CharField(max_length=100)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="tokens")
    digest = models.CharField(max_length=64, unique=True)
    last4 = models.CharField(max_length=4)
    scopes: models.JSONField[list[str], Any] = models.JSONField(default=list)
    created_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return f"{self.name} …{self.last4}"
