"""Plans: what stands in Planning. Launched by POST executions/ {"plan": id}."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from tasks import planning
from tasks.api.fields import LONG, AnyOf, Moment, Number, OneOf, Strict, Text, Unknown, Value
from tasks.api.resource import Resource, found
from tasks.models import Plan, Task

STATES = tuple(Plan.State.values)
POSITION = "Its place in Planning: it goes before the first plan with a greater position. Without one it goes last."


class PlanRow(serializers.Serializer[Plan]):
    """A task standing in Planning, or what became of it."""

    id = serializers.IntegerField()
    task = serializers.CharField(source="task.slug")
    input = Value()
    title = serializers.CharField(source="name")
    note = serializers.CharField()
    position = serializers.FloatField()
    state = OneOf(STATES)
    version = serializers.IntegerField(help_text="Grows with every change.")
    created_at = Moment()
    changed_at = Moment()


class NewPlan(Strict):
    task = Text(max_length=100, help_text="The slug of a task.")
    input = Value(required=False, help_text="A draft: it is checked when the plan is launched.")
    title = Text(required=False, allow_blank=True)
    note = Text(required=False, allow_blank=True, max_length=LONG)
    position = Number(required=False, help_text=POSITION)


class PlanChanges(Strict):
    input = Value(required=False)
    title = Text(required=False, allow_blank=True)
    note = Text(required=False, allow_blank=True, max_length=LONG)
    position = Number(required=False, help_text=POSITION)


class Filters(Strict):
    state = AnyOf(STATES)
    task = Text(required=False, help_text="The slug of a task.")


class Plans(Resource):
    scopes = {"GET": "read", "POST": "submit"}
    keyset = ("position", "id")
    filters = Filters

    @extend_schema(parameters=[Filters], responses=PlanRow(many=True))
    def get(self, request: Request) -> Response:
        """What stands in Planning, in its order; `?state=` shows what was launched or removed."""
        asked = {"state": [Plan.State.PLANNED], **self.asked()}
        names = {"state": "state__in", "task": "task__slug"}
        rows = Plan.objects.filter(**{names[name]: value for name, value in asked.items()})
        return self.page(rows.select_related("task"), PlanRow)

    @extend_schema(request=NewPlan, responses={201: PlanRow})
    def post(self, request: Request) -> Response:
        """Put a task into Planning."""
        asked = self.sent(NewPlan)
        task, before = library(asked.pop("task")), at(asked.pop("position", None))
        plan = planning.plan(task, now=timezone.now(), by=self.principal.user, before=before, **asked)
        return self.created(PlanRow(plan).data, at=plan.pk)


class OnePlan(Resource):
    scopes = {"GET": "read", "PATCH": "submit", "DELETE": "submit"}

    @extend_schema(responses=PlanRow)
    def get(self, request: Request, pk: int) -> Response:
        """A plan."""
        return Response(PlanRow(one(pk)).data)

    @extend_schema(request=PlanChanges, responses={200: PlanRow})
    def patch(self, request: Request, pk: int) -> Response:
        """Change a plan's draft input, title or note, or its place."""
        changes, plan, now = self.sent(PlanChanges), one(pk), timezone.now()
        moves = "position" in changes
        before = at(changes.pop("position", None), but=pk)
        with transaction.atomic():
            plan = planning.place(pk, before=before, now=now) if moves else plan
            plan = planning.edit(pk, now=now, **changes) if changes else plan
        return Response(PlanRow(plan).data)

    @extend_schema(responses={200: PlanRow})
    def delete(self, request: Request, pk: int) -> Response:
        """Take a plan off the board; its state becomes removed."""
        one(pk)
        return Response(PlanRow(planning.remove(pk, now=timezone.now())).data)


def one(pk: int) -> Plan:
    return found(Plan.objects.select_related("task"), "plan", pk=pk)


def library(slug: str) -> Task:
    task = Task.objects.in_library().filter(slug=slug).first()
    if task is None:
        raise Unknown(f"There is no task “{slug}” in the library.", at="/task")
    return task


def at(position: float | None, *, but: int = 0) -> Plan | None:
    """The plan before which that position lies; None is the end."""
    if position is None:
        return None
    others = Plan.objects.standing().filter(position__gt=position)
    return others.exclude(pk=but).first()
