"""A worker's presence: what it serves, what it can run, and when it was last heard. History outlives this row, so
executions name their worker rather than point at it."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import models
from django.utils import timezone


class WorkerQuerySet(models.QuerySet["Worker"]):
    def living(self) -> WorkerQuerySet:
        """Heard of within one lease, and not gone."""
        since = timezone.now() - settings.LEASE
        return self.filter(seen_at__gte=since).exclude(state=Worker.State.GONE)


class Worker(models.Model):
    """One row a name. `incarnation` is its life's number; `offers` what it can run (`python`, `action:send-mail`, …);
    `sandbox` the driver its probe found working, or empty with `sandbox_problem` saying why and what mends it."""

    class State(models.TextChoices):
        READY = "ready"
        DRAINING = "draining"
        GONE = "gone"

    name = models.CharField(max_length=100, unique=True)
    incarnation = models.PositiveIntegerField(default=0)
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.READY)
    slots = models.PositiveIntegerField()
    queues = models.JSONField(default=list)
    labels = models.JSONField(default=dict)
    offers = models.JSONField(default=list)
    sandbox = models.CharField(max_length=20, blank=True)
    sandbox_problem = models.CharField(max_length=500, blank=True)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    objects = WorkerQuerySet.as_manager()

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @property
    def is_living(self) -> bool:
        silent_for: timedelta = timezone.now() - self.seen_at
        return self.state != self.State.GONE and silent_for <= settings.LEASE
