"""What an attempt is to run, and what its worker still holds: values, never rows, for workers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Count

from executions import families
from executions.models import (
    Claim,
    Execution,
    Question,
    Step,
    Wait,
)
from executions.states import HELD, LIVE
from tasks.models import TaskVersion


@dataclass(frozen=True, slots=True)
class Recorded:
    """A step's or a question's result, as a later attempt gets it back."""

    key: str
    occurrence: int
    kind: str
    input_hash: str
    value: Any


@dataclass(frozen=True, slots=True)
class Work:
    """Everything an attempt needs to run, in plain values."""

    claim: Claim
    execution: str
    attempt: int
    task: str
    requires: str
    kind: str
    runtime: str
    source: str
    handler: str
    input: Any
    recorded: tuple[Recorded, ...]
    limits: dict[str, Any]
    timeouts: dict[str, Any]
    security: dict[str, Any]
    environment_variables: dict[str, str]
    input_schema: dict[str, Any]
    output_schema: dict[str, Any]


def version(pk: int) -> TaskVersion:
    """A version with its task; neither it nor the task's slug ever changes, so whoever asks often may keep it."""
    return TaskVersion.objects.select_related("task").get(pk=pk)


def works(claims: Sequence[Claim], *, of_version: Callable[[int], TaskVersion] = version) -> list[Work]:
    """What claims are to run: the pinned version, the input, and what earlier attempts recorded."""
    rows = Execution.objects.filter(pk__in=[claim.execution_id for claim in claims])
    found = {row[0]: row for row in rows.values_list("pk", "task_version_id", "input", "run")}
    return [_work(claim, of_version, *found[claim.execution_id][1:]) for claim in claims]


def work(claim: Claim) -> Work:
    """What one claim is to run."""
    return works([claim])[0]


def _work(claim: Claim, of_version: Callable[[int], TaskVersion], version_id: int, input: str, run: int) -> Work:
    version = of_version(version_id)
    return Work(
        claim=claim,
        execution=str(claim.execution_id),
        attempt=claim.attempt,
        task=version.task.slug,
        requires=version.requires,
        kind=version.kind,
        runtime=version.runtime,
        source=version.source,
        handler=version.handler,
        input=json.loads(input),
        recorded=_recorded(claim.execution_id) if claim.attempt > 1 or run > 1 else (),
        limits=version.limits,
        timeouts=version.timeouts,
        security=version.security,
        environment_variables=version.environment_variables,
        input_schema=version.input_schema,
        output_schema=version.output_schema,
    )


def _recorded(pk: UUID) -> tuple[Recorded, ...]:
    rows = Step.objects.filter(execution=pk)
    steps = [
        Recorded(step.key, step.occurrence, step.kind, step.input_hash, json.loads(step.value))
        for step in rows.filter(kind=Step.Kind.STEP)
    ]
    checkpoints = {step.key: json.loads(step.value) for step in rows.filter(kind=Step.Kind.CHECKPOINT).order_by("pk")}
    newest = [Recorded(name, 0, "checkpoint", "", value) for name, value in checkpoints.items()]
    answers = [
        Recorded(question.key, question.occurrence, "ask", "", json.loads(question.answer or "null"))
        for question in Question.objects.filter(execution=pk, state=Question.State.ANSWERED)
    ]
    waits = [_waited(wait) for wait in Wait.objects.filter(execution=pk, finished_at__isnull=False)]
    return (*steps, *newest, *answers, *waits)


def _waited(wait: Wait) -> Recorded:
    value = families.results(wait) if wait.verb == "run" else wait.value
    return Recorded(wait.key, wait.occurrence, wait.verb, wait.input_hash, value)


def holding(claims: Iterable[Claim]) -> dict[UUID, str]:
    """The states of those claims that still hold their execution, by id; what is missing is lost."""
    tokens = {claim.execution_id: claim.token for claim in claims}
    rows = Execution.objects.filter(pk__in=tokens, state__in=HELD).values_list("pk", "token", "state")
    return {pk: state for pk, token, state in rows if tokens[pk] == token}


def held_by(worker: str, *, incarnation: int) -> dict[UUID, int]:
    """What a life of a worker holds by the record, with its tokens."""
    rows = Execution.objects.held_by(worker).filter(incarnation=incarnation)
    return dict(rows.values_list("pk", "token"))


def brief(pk: UUID) -> dict[str, Any]:
    """Where an execution is and how it ended, in plain values, with the number of its recorded steps."""
    names = ("state", "attempt", "finished_at", "output", "error")
    row = Execution.objects.annotate(recorded=Count("steps")).values(*names, "recorded").get(pk=pk)
    return dict(row)


def unfinished_of(slug: str) -> int:
    """How many executions of a task have not ended."""
    return Execution.objects.filter(task__slug=slug, state__in=LIVE).count()
