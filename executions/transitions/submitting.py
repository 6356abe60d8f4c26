"""submit: the one way an execution is born. Row and first event in one transaction; accepted means committed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from executions import events
from executions.models import Execution, new_id, next_number, rank_of
from executions.states import State
from executions.transitions.moving import Refused, check_words
from tasks import planning
from tasks.models import PRIORITIES, Plan, Queue, Task, TaskVersion
from tasks.schema import Invalid, Problem, problems
from tasks.sdk.canonical import encode


@dataclass(frozen=True, slots=True)
class Submission:
    """The execution, and whether this call made it (a replayed request gets the first one's)."""

    execution: Execution
    created: bool


@dataclass(frozen=True, slots=True)
class Wish:
    """What the submitter may choose instead of the task's own settings; None leaves the task's."""

    queue: str | None = None
    priority: str | None = None
    start_at: datetime | None = None
    title: str | None = None
    agent: str | None = None
    team: str | None = None
    environment: str | None = None
    labels: Sequence[str] | None = None


def submit(
    task: Task,
    *,
    input: Any,
    now: datetime,
    actor: str,
    owner: User | None = None,
    plan: Plan | None = None,
    idempotency_key: str | None = None,
    **wish: Any,
) -> Submission:
    """Make an execution of the task's newest version.

    Raises Invalid (nothing was created) where the input does not fit or a wish cannot be, Refused where the task can no
    longer run or the idempotency key stands for a different request. A plan launched before, or a key used before for the
    same request, returns the first's execution.
    """
    version, asked = _version(task), Wish(**wish)
    text = _checked(version, input, asked)
    digest = _digest(task, text, plan, wish)
    if idempotency_key and (earlier := _replayed(actor, idempotency_key, digest)):
        return Submission(earlier, created=False)
    try:
        with transaction.atomic():
            if plan is not None:
                planning.launch(plan.pk, now=now)
            execution = _create(task, version, asked, text, now=now, owner=owner, plan=plan, key=idempotency_key,
                                actor=actor, digest=digest)  # fmt: skip
            events.record(execution, "submitted", now=now, actor=actor, data=_told(execution, version))
        return Submission(execution, created=True)
    except planning.NotPlanned as late:
        return Submission(_launched(late), created=False)
    except IntegrityError:
        if idempotency_key and (earlier := _replayed(actor, idempotency_key, digest)):
            return Submission(earlier, created=False)
        raise


def _version(task: Task) -> TaskVersion:
    if task.archived_at is not None or task.latest is None:
        raise Refused(f"The task “{task.slug}” is archived: it can no longer run.", code="archived")
    return task.latest


def _checked(version: TaskVersion, input: Any, asked: Wish) -> str:
    """The input as canonical text, once it and every wish fit."""
    check_words(
        input=input,
        title=asked.title,
        agent=asked.agent,
        team=asked.team,
        environment=asked.environment,
        labels=list(asked.labels or ()),
    )
    text = encode(input).decode()
    wrong = [Problem("/input" + found.pointer, found.message) for found in problems(version.input_schema, input)]
    wrong += _wrong_wishes(asked)
    if wrong:
        raise Invalid(f"The input does not fit “{version.task.slug}”: nothing was started.", wrong)
    return text


def _wrong_wishes(asked: Wish) -> list[Problem]:
    wrong = []
    if asked.queue is not None and not Queue.objects.filter(name=asked.queue).exists():
        known = ", ".join(Queue.objects.values_list("name", flat=True)[:20])
        wrong.append(Problem("/queue", f"there is no queue “{asked.queue}”; there are {known}"))
    if asked.priority is not None and asked.priority not in PRIORITIES:
        wrong.append(Problem("/priority", f"must be one of {', '.join(PRIORITIES)}"))
    return wrong


def _digest(task: Task, text: str, plan: Plan | None, wish: Mapping[str, Any]) -> str:
    """What makes two requests the same request: task, input, plan and wishes; the task's version may move on."""
    told = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in sorted(wish.items())}
    asked = encode([task.slug, plan.pk if plan else None, told])
    return hashlib.sha256(asked + b"\n" + text.encode()).hexdigest()


def _replayed(actor: str, key: str, digest: str) -> Execution | None:
    earlier = Execution.objects.filter(idempotency_by=actor, idempotency_key=key).first()
    if earlier is not None and earlier.request_digest != digest:
        message = f"The idempotency key “{key}” was used for a different request ({earlier}); use a new key."
        raise Refused(message, code="idempotency_conflict")
    return earlier


def _launched(late: planning.NotPlanned) -> Execution:
    earlier = Execution.objects.filter(plan=late.plan).order_by("-created_at").first()
    if earlier is None or late.state != Plan.State.LAUNCHED:
        raise Refused(str(late), code="not_planned") from late
    return earlier


def _create(
    task: Task,
    version: TaskVersion,
    asked: Wish,
    text: str,
    *,
    now: datetime,
    owner: User | None,
    plan: Plan | None,
    key: str | None,
    actor: str,
    digest: str,
) -> Execution:
    priority = asked.priority or version.priority
    due_later = asked.start_at if asked.start_at is not None and asked.start_at > now else None
    pk = new_id()
    return Execution.objects.create(
        id=pk,
        lineage=pk,
        number=next_number(),
        task=task,
        task_version=version,
        plan=plan,
        title=asked.title or (plan.name if plan else task.title),
        state=State.PENDING,
        state_at=now,
        queue=asked.queue or version.queue,
        requires=version.requires,
        priority=priority,
        rank=rank_of(priority, (due_later or now).timestamp()),
        available_at=due_later,
        agent=version.agent if asked.agent is None else asked.agent,
        team=version.team if asked.team is None else asked.team,
        environment=version.environment if asked.environment is None else asked.environment,
        labels=version.labels if asked.labels is None else list(asked.labels),
        owner=owner,
        last_seq=1,
        changed_at=now,
        created_at=now,
        idempotency_by=actor if key else "",
        idempotency_key=key,
        request_digest=digest if key else "",
        input=text,
    )


def _told(execution: Execution, version: TaskVersion) -> dict[str, Any]:
    return {
        "task": version.task.slug,
        "version": version.number,
        "queue": execution.queue,
        "priority": execution.priority,
        "plan": execution.plan_id,
        "available_at": execution.available_at.isoformat() if execution.available_at else None,
    }
