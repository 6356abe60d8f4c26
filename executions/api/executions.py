"""Executions: list, submit, look at, wait for."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Coroutine, Mapping
from functools import wraps
from typing import Any, cast
from uuid import UUID

from asgiref.sync import sync_to_async
from django.db import connection, transaction
from django.db.models import F
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from executions import queries, transitions, waiting
from executions.api.serializers import (
    PHASE_NAMES,
    STATES,
    Batch,
    BatchAnswer,
    ExecutionRow,
    ExecutionWhole,
    Submit,
)
from executions.models import Execution
from executions.models.execution import ExecutionQuerySet
from executions.states import FINAL
from executions.transitions import Submission
from tasks.access import Principal
from tasks.api.fields import WHOLE, AnyOf, Moment, Strict, Text, Unknown
from tasks.api.resource import Resource, found
from tasks.models import Plan, Task
from tasks.schema import Invalid, Problem

LONGEST_WAIT = 60.0
LONGEST_KEY = 200
SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0  # seconds between two looks at an execution that is waited for
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key", {"type": "string", "minLength": 1, "maxLength": 196, "pattern": "^[!-~]+$"},
    OpenApiParameter.HEADER,
    description="1 to 200 printable characters. The same request with the same key makes one execution.",
)  # fmt: skip
WAIT = OpenApiParameter(
    "wait",
    {"type": "number", "minimum": 0},
    description=f"Seconds to hold the answer until the execution has ended, at most {LONGEST_WAIT:g}.",
)


class Filters(Strict):
    """Which executions to list; all that are given must hold."""

    state = AnyOf(STATES)
    phase = AnyOf(PHASE_NAMES)
    task = Text(required=False, help_text="The slug of a task.")
    queue = Text(required=False)
    agent = Text(required=False, allow_blank=True)
    team = Text(required=False, allow_blank=True)
    environment = Text(required=False, allow_blank=True)
    label = Text(required=False)  # type: ignore[assignment]
    q = Text(required=False, help_text="An id, a number, or a part of the title or of the task's slug.")
    since = Moment(required=False, help_text="Submitted at this moment or later.")


class Executions(Resource):
    scopes = {"GET": "read", "POST": "submit"}
    keyset = ("-created_at", "-id")
    filters = Filters

    @extend_schema(parameters=[Filters], responses=ExecutionRow(many=True))
    def get(self, request: Request) -> Response:
        """Executions, the newest first."""
        rows = self.rows(filtered(shown().defer("input", "output"), self.asked()))
        return self.get_paginated_response(told(rows, ExecutionRow))

    @extend_schema(request=Submit, parameters=[IDEMPOTENCY_KEY], responses={201: ExecutionWhole, 200: ExecutionWhole})
    def post(self, request: Request) -> Response:
        """Submit an execution. 201: accepted, and it will run; 200: this request was accepted before."""
        made = submit(self.sent(Submit), principal=self.principal, key=idempotency_key(request))
        body = whole(made.execution.pk)
        return self.created(body, at=made.execution.pk) if made.created else Response(body)


class ExecutionsBatch(Resource):
    scopes = {"POST": "submit"}

    @extend_schema(request=Batch, parameters=[IDEMPOTENCY_KEY], responses={201: BatchAnswer})
    def post(self, request: Request) -> Response:
        """Submit up to 200 executions: all of them are accepted, or none."""
        key = idempotency_key(request, most=LONGEST_KEY - 4)
        asked = self.sent(Batch)["executions"]
        with transaction.atomic():
            made = [
                submit(
                    each, principal=self.principal, key=f"{key}-{n}" if key else None, at=f"/executions/{n}"
                ).execution.pk
                for n, each in enumerate(asked)
            ]
        rows = shown().in_bulk(made)
        return Response({"results": told([rows[pk] for pk in made], ExecutionWhole)}, status=status.HTTP_201_CREATED)


class OneExecution(Resource):
    scopes = {"GET": "read"}

    @extend_schema(parameters=[WAIT], responses=ExecutionWhole)
    def get(self, request: Request, pk: UUID) -> Response:
        """An execution. With `?wait=30` the answer comes when it has ended, or after that many seconds."""
        seconds_to_wait(request.query_params)
        return Response(whole(pk))


def shown() -> ExecutionQuerySet:
    """Executions with the names that their JSON holds, in one query."""
    return Execution.objects.annotate(
        task_slug=F("task__slug"), version_number=F("task_version__number"), owner_name=F("owner__username")
    )


def whole(pk: UUID) -> Any:
    """One execution as JSON; 404 where there is none."""
    return told([found(shown(), "execution", pk=pk)], ExecutionWhole)[0]


def told(rows: list[Execution], shape: type[ExecutionRow]) -> list[Any]:
    """Executions as JSON, with the reasons of all of them asked for at once."""
    context = {"reasons": waiting.reasons(rows)}
    return list(shape(cast(Any, rows), many=True, context=context).data)


def filtered(rows: ExecutionQuerySet, asked: Mapping[str, Any]) -> ExecutionQuerySet:
    plain = {"task": "task__slug", "queue": "queue", "agent": "agent", "team": "team", "environment": "environment",
             "since": "created_at__gte", "state": "state__in"}  # fmt: skip
    rows = rows.filter(**{plain[name]: value for name, value in asked.items() if name in plain})
    if "phase" in asked:
        rows = rows.filter(queries.in_phases(asked["phase"]))
    if "label" in asked:
        rows = rows.labelled(asked["label"])
    return rows.matching(asked["q"]) if "q" in asked else rows


def submit(asked: Mapping[str, Any], *, principal: Principal, key: str | None, at: str = "") -> Submission:
    """The verb, given what was asked; `at` is the place of that in the body, for whatever is wrong with it."""
    wish = {name: value for name, value in asked.items() if name not in ("task", "plan", "input") and value is not None}
    plan = the_plan(asked["plan"], at=at) if "plan" in asked else None
    draft = plan.input if plan is not None and plan.input is not None else {}
    try:
        return transitions.submit(
            plan.task if plan is not None else the_task(asked["task"], at=at),
            input=asked.get("input", draft),
            now=timezone.now(),
            actor=principal.actor,
            owner=principal.user,
            plan=plan,
            idempotency_key=key,
            **wish,
        )
    except Invalid as error:
        raise Invalid(error.message, [Problem(at + each.pointer, each.message) for each in error.problems]) from error


def the_task(slug: str, *, at: str) -> Task:
    task = Task.objects.select_related("latest").filter(slug=slug).first()
    if task is None:
        raise Unknown(f"There is no task “{slug}”: nothing was started.", at=f"{at}/task")
    return task


def the_plan(pk: int, *, at: str) -> Plan:
    plan = Plan.objects.select_related("task__latest").filter(pk=pk).first()
    if plan is None:
        raise Unknown(f"There is no plan {pk}: nothing was started.", at=f"{at}/plan")
    return plan


def idempotency_key(request: Request, *, most: int = LONGEST_KEY) -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not (1 <= len(key) <= most and key.isascii() and key.isprintable()):
        raise ValidationError({WHOLE: [f"The header Idempotency-Key must have 1 to {most} printable ASCII characters"]})
    return key


def seconds_to_wait(query: Mapping[str, str]) -> float:
    """How long the answer may be held; 0 where nothing was asked."""
    said = query.get("wait", "0")
    if not SECONDS.fullmatch(said):
        raise ValidationError({"wait": [f"must be a number of seconds, at most {LONGEST_WAIT:g}"]})
    return min(float(said), LONGEST_WAIT)


def held_until_final(view: Callable[..., HttpResponseBase]) -> Callable[..., Coroutine[Any, Any, HttpResponseBase]]:
    """Answer when the execution has ended or the time is up. Whoever waits holds no connection and no work."""
    answer = sync_to_async(view)

    @wraps(view)
    async def held(request: HttpRequest, pk: UUID) -> HttpResponseBase:
        response = await answer(request, pk=pk)
        if "wait" not in request.GET or response.status_code != status.HTTP_200_OK:
            return response
        until, pause = time.monotonic() + seconds_to_wait(request.GET), FIRST_PAUSE
        ended = await sync_to_async(has_ended)(pk)
        while not ended and (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(pause, left))
            ended, pause = await sync_to_async(has_ended)(pk), min(pause * 1.5, LONGEST_PAUSE)
        return await answer(request, pk=pk)

    return held


def has_ended(pk: UUID) -> bool:
    """One small look, after which the connection is given back (unless a transaction around it still needs it)."""
    ended = Execution.objects.filter(pk=pk, state__in=FINAL).exists()
    if not connection.in_atomic_block:
        connection.close()
    return ended
