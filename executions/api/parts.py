"""What belongs to one execution: its events, log lines, steps, waits, signals, questions, children and attempts."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.db.models import Model, QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from executions import queries
from executions.api.executions import shown, told
from executions.api.pagination import address, limit_of
from executions.api.serializers import (
    AttemptRow,
    EventRow,
    ExecutionRow,
    LineRow,
    QuestionRow,
    SignalRow,
    StepRow,
    WaitRow,
)
from executions.models import Attempt, Event, Execution, Question, Signal, Step, Wait
from tasks.api.fields import Strict
from tasks.api.resource import Resource, found

LARGEST = 2**63 - 1
LIMIT = {"type": "integer", "minimum": 1, "maximum": 1000, "default": 200}


class After(Strict):
    after = serializers.IntegerField(
        required=False, default=0, min_value=0, max_value=LARGEST, help_text="Only what has a greater number."
    )


class Part(Resource):
    """A list that belongs to one execution."""

    scopes = {"GET": "read"}
    model: ClassVar[type[Model]]

    def of(self, pk: UUID) -> QuerySet[Any]:
        """The rows of this execution; 404 where there is none."""
        execution = found(Execution.objects.only("pk"), "execution", pk=pk)
        return self.model._default_manager.filter(execution=execution.pk)


class Events(Part):
    model, keyset, filters = Event, ("seq",), After

    @extend_schema(parameters=[After], responses=EventRow(many=True))
    def get(self, request: Request, pk: UUID) -> Response:
        """Its history, from the beginning or `?after=` a seq."""
        return self.page(self.of(pk).filter(seq__gt=self.asked()["after"]), EventRow)


class Logs(Resource):
    scopes = {"GET": "read"}
    filters = After
    few, most = 200, 1000

    @extend_schema(
        parameters=[After, OpenApiParameter("limit", LIMIT, description="Lines on a page.")],
        responses=LineRow(many=True),
    )
    def get(self, request: Request, pk: UUID) -> Response:
        """Its log lines, from the beginning or `?after=` a line's number."""
        found(Execution.objects.only("pk"), "execution", pk=pk)
        limit, after = limit_of(request, self), self.asked()["after"]
        lines = queries.lines(pk, after=after, limit=limit + 1)
        more = address(request, after=lines[limit - 1].n) if len(lines) > limit else None
        return Response({"results": LineRow(lines[:limit], many=True).data, "next": more})


class Steps(Part):
    model, keyset = Step, ("id",)

    @extend_schema(responses=StepRow(many=True))
    def get(self, request: Request, pk: UUID) -> Response:
        """What it has recorded, in the order of recording."""
        return self.page(self.of(pk), StepRow)


class Waits(Part):
    model, keyset = Wait, ("id",)

    @extend_schema(responses=WaitRow(many=True))
    def get(self, request: Request, pk: UUID) -> Response:
        """What its code has waited for, and waits for now, besides answers."""
        return self.page(self.of(pk), WaitRow)


class Signals(Part):
    model, keyset = Signal, ("id",)

    @extend_schema(responses=SignalRow(many=True))
    def get(self, request: Request, pk: UUID) -> Response:
        """What was sent to it, the oldest first."""
        return self.page(self.of(pk).select_related("taken_by"), SignalRow)


class Questions(Part):
    model, keyset = Question, ("asked_at", "id")

    @extend_schema(responses=QuestionRow(many=True))
    def get(self, request: Request, pk: UUID) -> Response:
        """What it has asked, the oldest first."""
        return self.page(self.of(pk), QuestionRow)


class Attempts(Part):
    model, keyset = Attempt, ("number",)

    @extend_schema(responses=AttemptRow(many=True))
    def get(self, request: Request, pk: UUID) -> Response:
        """Its attempts, the first first."""
        return self.page(self.of(pk), AttemptRow)


class Children(Resource):
    scopes = {"GET": "read"}
    keyset = ("created_at", "id")

    @extend_schema(responses=ExecutionRow(many=True))
    def get(self, request: Request, pk: UUID) -> Response:
        """The executions that it started, the oldest first."""
        found(Execution.objects.only("pk"), "execution", pk=pk)
        rows = self.rows(shown().defer("input", "output").filter(parent=pk))
        return self.get_paginated_response(told(rows, ExecutionRow))
