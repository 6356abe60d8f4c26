"""Schedules: what is run at which times, what comes next, and what came of each tick. Writes need `define`, as tasks do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from executions import queries
from executions.models import Firing
from tasks import schedules
from tasks.api.fields import Moment, OneOf, OrNull, Strict, Text, Value, Whole
from tasks.api.plans import library
from tasks.api.resource import Resource, found
from tasks.models import Schedule
from tasks.ticks import LONGEST, LONGEST_EVERY

MISSED = tuple(Schedule.Missed.values)
CRON = "Five fields: minute, hour, day of month, month, day of week."
EVERY = "Instead of cron: seconds from one tick to the next, counted from when it was made."
ZONE = "The time zone of cron, as Europe/Berlin; UTC unless said."
WHAT_WAS_MISSED = "Of ticks that no scheduler was there to fire: none, the latest, or all (the last hundred)."
SHOWN = 3


class FiringRow(serializers.Serializer[Firing]):
    """What came of one tick: an execution, or why there is none."""

    fire_at = Moment(help_text="The tick.")
    fired_at = Moment(help_text="When a scheduler came to it.")
    execution = serializers.UUIDField(source="execution_id", allow_null=True)
    refused = OrNull(help_text="Why there is no execution. It is not tried again.")


@extend_schema_serializer(component_name="Schedule")
class ScheduleRow(serializers.Serializer[Any]):
    """A rule in time by which a task is run."""

    name = serializers.CharField()
    task = serializers.CharField(source="task.slug")
    input = Value()
    cron = OrNull(help_text=CRON)
    every = serializers.IntegerField(allow_null=True, help_text=EVERY)
    timezone = serializers.CharField()
    missed = OneOf(MISSED, help_text=WHAT_WAS_MISSED)
    next_at = Moment(allow_null=True, help_text="Null while it is paused.")
    upcoming = serializers.ListField(child=Moment(), help_text="The next three ticks.")
    last = FiringRow(allow_null=True)
    paused_at = Moment(allow_null=True)
    paused_by = OrNull()
    created_at = Moment()
    created_by = serializers.CharField()
    changed_at = Moment()
    removed_at = Moment(allow_null=True)


class ScheduleChanges(Strict):
    """What is to change. A cron expression takes the place of an interval, and an interval that of a cron expression."""

    task = Text(required=False, max_length=100, help_text="The slug of a task.")
    input = Value(
        required=False, help_text="It must fit the task's input schema now, and is checked again at each tick."
    )
    cron = Text(required=False, max_length=LONGEST, help_text=CRON)
    every = Whole(required=False, min_value=1, max_value=LONGEST_EVERY, help_text=EVERY)
    timezone = Text(required=False, max_length=100, help_text=ZONE)
    missed = OneOf(MISSED, required=False, help_text=WHAT_WAS_MISSED)


class NewSchedule(ScheduleChanges):
    """What is to be run, and when: by `cron` or `every`."""

    also = {"oneOf": [{"required": ["cron"]}, {"required": ["every"]}]}

    name = Text(max_length=100, help_text="Lower-case letters, digits and hyphens.")
    task = Text(max_length=100, help_text="The slug of a task.")


class Schedules(Resource):
    scopes = {"GET": "read", "POST": "define"}
    keyset = ("name",)

    @extend_schema(responses=ScheduleRow(many=True))
    def get(self, request: Request) -> Response:
        """The schedules, by name."""
        return self.get_paginated_response(shown(self.rows(Schedule.objects.standing())))

    @extend_schema(request=NewSchedule, responses={201: ScheduleRow})
    def post(self, request: Request) -> Response:
        """Make a schedule."""
        asked, principal = self.sent(NewSchedule), self.principal
        task = library(asked.pop("task"))
        made = schedules.make(
            asked.pop("name"), task=task, now=timezone.now(), actor=principal.actor, owner=principal.user, **asked
        )
        return self.created(shown([made])[0], at=made.name)


class OneSchedule(Resource):
    scopes = {"GET": "read", "PATCH": "define", "DELETE": "define"}

    @extend_schema(responses=ScheduleRow)
    def get(self, request: Request, slug: str) -> Response:
        """A schedule by its name."""
        return told(found(Schedule.objects.standing(), "schedule", name=slug))

    @extend_schema(request=ScheduleChanges, responses={200: ScheduleRow})
    def patch(self, request: Request, slug: str) -> Response:
        """Change what is run, or when."""
        changes = self.sent(ScheduleChanges)
        if "task" in changes:
            changes["task"] = library(changes["task"])
        return told(done(schedules.change, slug, now=timezone.now(), **changes))

    @extend_schema(responses={200: ScheduleRow})
    def delete(self, request: Request, slug: str) -> Response:
        """Remove a schedule: it fires no more, and what it made stays."""
        return told(done(schedules.remove, slug, now=timezone.now()))


class PauseSchedule(Resource):
    scopes = {"POST": "define"}

    @extend_schema(request=None, responses={200: ScheduleRow})
    def post(self, request: Request, slug: str) -> Response:
        """Fire nothing more of it until it is resumed."""
        return told(done(schedules.pause, slug, now=timezone.now(), actor=self.principal.actor))


class ResumeSchedule(Resource):
    scopes = {"POST": "define"}

    @extend_schema(request=None, responses={200: ScheduleRow})
    def post(self, request: Request, slug: str) -> Response:
        """Go on with its next tick; what passed meanwhile was not missed."""
        return told(done(schedules.resume, slug, now=timezone.now()))


class Firings(Resource):
    scopes = {"GET": "read"}
    keyset = ("-fire_at",)

    @extend_schema(responses=FiringRow(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """What came of its ticks, the latest first."""
        schedule = found(Schedule.objects.standing(), "schedule", name=slug)
        return self.page(Firing.objects.filter(schedule=schedule), FiringRow)


def done(verb: Callable[..., Schedule], name: str, **how: Any) -> Schedule:
    """What a verb made of a schedule; 404 where there is none of this name."""
    try:
        return verb(name, **how)
    except Schedule.DoesNotExist:
        raise NotFound(f"There is no schedule {name}.") from None


def told(schedule: Schedule) -> Response:
    return Response(shown([schedule])[0])


def shown(rows: Iterable[Schedule]) -> list[dict[str, Any]]:
    """Schedules with what comes next and what came last, in one query for all."""
    listed = list(rows)
    last = queries.last_firings(listed)
    for schedule in listed:
        schedule.upcoming = schedule.following(SHOWN)  # type: ignore[attr-defined]
        schedule.last = last.get(schedule.pk)  # type: ignore[attr-defined]
    return list(ScheduleRow(listed, many=True).data)
