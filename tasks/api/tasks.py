"""Tasks and their versions. A task is defined by the document that `tasks.manifest` reads; a version never changes."""

from __future__ import annotations

from typing import Any

from django.db.models import F, QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from tasks import manifest
from tasks.api.fields import LONG, Moment, OneOf, Strict, Text, Truth
from tasks.api.resource import Resource, found
from tasks.models import PRIORITIES, Task, TaskVersion

KINDS = ("script", "action")  # those that are built


def policy(**members: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": members}


def number(low: float, high: float, default: float | None, kind: str = "number") -> dict[str, Any]:
    return {"type": kind, "minimum": low, "maximum": high, "default": default}


SIZE = {"type": "string", "pattern": "^[0-9]{1,12}(Ki|Mi|Gi)?$"}


@extend_schema_field({"type": "object", "additionalProperties": {}, "description": "JSON Schema 2020-12."})
class JsonSchema(serializers.DictField):
    """What an input or an output must fit."""


@extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}})
class Variables(serializers.DictField):
    """Environment variables of the sandbox."""


@extend_schema_field(
    policy(
        max_retries=number(0, 1000, 3, "integer"),
        retry_interval=number(0, 86_400, 2),
        backoff_multiplier=number(1, 100, 2),
        max_interval=number(0, 7 * 86_400, 300),
        jitter=number(0, 1, 0.2),
        retryable_errors={"type": "array", "items": {"type": "string", "maxLength": 200}},
    )
)
class Retry(serializers.DictField):
    """How often, and after how many seconds, it is tried again."""


@extend_schema_field(
    policy(
        cpu=number(0.01, 256, 0.1),
        memory={**SIZE, "default": "128Mi"},
        disk={**SIZE, "default": "64Mi"},
        pids=number(4, 32_768, 64, "integer"),
        timeout_seconds=number(0.1, 30 * 86_400, 300),
    )
)
class LimitsOfAttempt(serializers.DictField):
    """What one attempt may use."""


@extend_schema_field(
    policy(
        queue=number(0.1, 365 * 86_400, None),
        prepare=number(0.1, 365 * 86_400, None),
        execution=number(0.1, 365 * 86_400, None),
    )
)
class TimeoutsOfExecution(serializers.DictField):
    """How many seconds it may wait in its queue, be prepared, and take altogether."""


@extend_schema_field(
    policy(
        limit={"type": "integer", "minimum": 1, "maximum": 100_000},
        key={"type": "string", "maxLength": 200},
        on_conflict={"type": "string", "enum": ["queue", "skip", "cancel_running"], "default": "queue"},
    )
)
class ConcurrencyOfTask(serializers.DictField):
    """How many are at work at once, altogether or for each value of the input that `key` names."""


@extend_schema_field(
    policy(limit={"type": "integer", "minimum": 1, "maximum": 1_000_000}, per_seconds=number(0.1, 7 * 86_400, 1))
)
class RateOfTask(serializers.DictField):
    """How many attempts begin in any `per_seconds`."""


@extend_schema_field(policy(level={"type": "string", "enum": ["LOW", "MEDIUM", "HIGH"]}))
class SecurityLevel(serializers.DictField):
    """The least isolation it gets."""


class Members(serializers.Serializer[Any]):
    """What a task is and does."""

    title = Text(required=False, allow_blank=True)
    description = Text(required=False, allow_blank=True, max_length=LONG)
    kind = OneOf(KINDS, required=False)
    runtime = Text(required=False, allow_blank=True, help_text="Of a script: python or shell.")
    source = Text(  # type: ignore[assignment]
        required=False, allow_blank=True, max_length=manifest.LONGEST_SOURCE, help_text="Of a script: its text."
    )
    handler = Text(required=False, allow_blank=True, help_text="Of an action: its registered name.")
    input_schema = JsonSchema(required=False)
    output_schema = JsonSchema(required=False)
    queue = serializers.SlugField(required=False, max_length=100)
    priority = OneOf(PRIORITIES, required=False)
    environment = Text(required=False, allow_blank=True, max_length=50)
    agent = Text(required=False, allow_blank=True, max_length=100)
    team = Text(required=False, allow_blank=True, max_length=100)
    labels = serializers.ListField(child=Text(max_length=100), required=False)
    touches = serializers.ListField(child=Text(max_length=200), required=False)
    retry = Retry(required=False)
    limits = LimitsOfAttempt(required=False)
    timeouts = TimeoutsOfExecution(required=False)
    concurrency = ConcurrencyOfTask(required=False)
    rate = RateOfTask(required=False)
    security = SecurityLevel(required=False)
    environment_variables = Variables(required=False)


class Definition(Members):
    """What a task is defined by: `tasks.manifest` reads it. A script needs a source, an action a handler."""

    also = {"anyOf": [{"required": ["source"]}, {"required": ["handler"]}]}

    slug = serializers.SlugField(max_length=100, help_text="Lower-case letters, digits and hyphens.")


class NextDefinition(Members):
    """What the next version of a task is defined by; title and description stay where they are not given."""

    also = Definition.also

    slug = serializers.SlugField(max_length=100, required=False)


@extend_schema_serializer(component_name="TaskVersion")
class VersionRow(Members):
    """A task in one of its versions."""

    slug = serializers.CharField()
    version = serializers.IntegerField()
    created_at = Moment()
    created_by = serializers.CharField()


@extend_schema_serializer(component_name="Task")
class TaskWhole(VersionRow):
    """A task in its newest version."""

    archived_at = Moment(allow_null=True)


class TaskRow(serializers.Serializer[Task]):
    """A task as lists show it: without its source and schemas."""

    slug = serializers.CharField()
    title = serializers.CharField()
    description = serializers.CharField()
    version = serializers.IntegerField(source="latest.number")
    kind = OneOf(KINDS, source="latest.kind")
    runtime = serializers.CharField(source="latest.runtime")
    queue = serializers.CharField(source="latest.queue")
    priority = OneOf(PRIORITIES, source="latest.priority")
    environment = serializers.CharField(source="latest.environment")
    agent = serializers.CharField(source="latest.agent")
    team = serializers.CharField(source="latest.team")
    labels = serializers.ListField(child=serializers.CharField(), source="latest.labels")
    created_at = Moment()
    archived_at = Moment(allow_null=True)


class Rename(Strict):
    title = Text(required=False)
    description = Text(required=False, allow_blank=True, max_length=LONG)
    archived = Truth(required=False, help_text="false brings an archived task back.")


class Filters(Strict):
    archived = serializers.BooleanField(required=False, default=False, help_text="Those that were archived instead.")


class Tasks(Resource):
    scopes = {"GET": "read", "POST": "define"}
    keyset = ("slug",)
    filters = Filters

    @extend_schema(parameters=[Filters], responses=TaskRow(many=True))
    def get(self, request: Request) -> Response:
        """The task library, by slug."""
        archived: bool = self.asked()["archived"]
        rows = Task.objects.filter(latest__isnull=False, archived_at__isnull=not archived)
        bulky = ("source", "input_schema", "output_schema")
        return self.page(rows.select_related("latest").defer(*(f"latest__{name}" for name in bulky)), TaskRow)

    @extend_schema(request=Definition, responses={201: TaskWhole})
    def post(self, request: Request) -> Response:
        """Define a task: its version 1."""
        version = manifest.define(self.document(), now=timezone.now(), by=self.principal.actor)
        return self.created(told(version), at=version.task.slug)


class OneTask(Resource):
    scopes = {"GET": "read", "PATCH": "define", "DELETE": "define"}

    @extend_schema(responses=TaskWhole)
    def get(self, request: Request, slug: str) -> Response:
        """A task, as the document that would define it again."""
        return Response(newest(slug))

    @extend_schema(request=Rename, responses={200: TaskWhole})
    def patch(self, request: Request, slug: str) -> Response:
        """Change what a task is called, or bring it back; what it does is changed by a new version."""
        changes = self.sent(Rename, partial=True)
        manifest.amend(one(slug), now=timezone.now(), **changes)
        return Response(newest(slug))

    @extend_schema(responses={200: TaskWhole})
    def delete(self, request: Request, slug: str) -> Response:
        """Archive a task: it leaves the library and runs no more; its history stays."""
        manifest.amend(one(slug), now=timezone.now(), archived=True)
        return Response(newest(slug))


class Versions(Resource):
    scopes = {"GET": "read", "POST": "define"}
    keyset = ("-number",)
    few = 20

    @extend_schema(responses=VersionRow(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """The versions of a task, the newest first."""
        rows = self.rows(TaskVersion.objects.filter(task=one(slug)).select_related("task"))
        return self.get_paginated_response([told(version) for version in rows])

    @extend_schema(request=NextDefinition, responses={201: TaskWhole})
    def post(self, request: Request, slug: str) -> Response:
        """Give a task its next version; executions under way keep theirs."""
        version = manifest.add_version(one(slug), self.document(), now=timezone.now(), by=self.principal.actor)
        return self.created(told(version), at=version.number)


class OneVersion(Resource):
    scopes = {"GET": "read"}

    @extend_schema(responses=VersionRow)
    def get(self, request: Request, slug: str, number: int) -> Response:
        """A task as it was in one version."""
        versions = TaskVersion.objects.filter(task=one(slug)).select_related("task")
        return Response(told(found(versions, f"version of “{slug}” with the number", number=number)))


def one(slug: str) -> Task:
    return found(Task.objects.all(), "task", slug=slug)


def newest(slug: str) -> dict[str, Any]:
    versions: QuerySet[TaskVersion] = TaskVersion.objects.filter(task__latest=F("pk")).select_related("task")
    return told(found(versions, "task", task__slug=slug))


def told(version: TaskVersion) -> dict[str, Any]:
    """A version as the document that would define it again, and when it was made."""
    body = {
        **manifest.document(version),
        "version": version.number,
        "created_at": version.created_at,
        "created_by": version.created_by,
        "archived_at": version.task.archived_at,
    }
    return dict(TaskWhole(body).data)
