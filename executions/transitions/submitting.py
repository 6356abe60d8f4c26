"""submit: the one way an execution is born. Row and first event in one transaction; accepted means committed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from executions import events, failpoints, limits
from executions.models import Execution, Timer, insert, new_id, next_numbers, rank_of
from executions.states import Reason, State
from executions.transitions.ending import end
from executions.transitions.moving import Refused, check_words
from executions.transitions.stopping import cancel
from tasks import planning
from tasks.models import PRIORITIES, Plan, Queue, Task, TaskVersion
from tasks.policy import Concurrency, OnConflict, Timeouts
from tasks.schema import Invalid, Problem, problems
from tasks.sdk.canonical import encode

LONGEST_TTL = 365 * 86_400.0


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
    ttl: float | None = None


def submit(
    task: Task,
    *,
    input: Any,
    now: datetime,
    actor: str,
    owner: User | None = None,
    plan: Plan | None = None,
    idempotency_key: str | None = None,
    told: Mapping[str, Any] | None = None,
    **wish: Any,
) -> Submission:
    """Make an execution of the task's newest version; `told` is what its first event says besides.

    Raises Invalid (nothing was created) where the input does not fit or a wish cannot be, Refused where the task can no
    longer run or the idempotency key stands for a different request. A plan launched before, or a key used before for the
    same request, returns the first's execution.
    """
    execution = newborn(task, input=input, now=now, owner=owner, plan=plan, wish=wish)
    digest = _digest(execution, wish)
    if idempotency_key and (earlier := replayed(actor, idempotency_key, digest)):
        return Submission(earlier, created=False)
    if idempotency_key:
        execution.idempotency_by, execution.idempotency_key, execution.request_digest = actor, idempotency_key, digest
    try:
        with transaction.atomic():
            if plan is not None:
                planning.launch(plan.pk, now=now)
            [execution.number] = next_numbers()
            bear([execution], now=now, actor=actor, **(told or {}))
            failpoints.before_commit("submit", execution)
        failpoints.after_commit("submit", execution)
        return Submission(execution, created=True)
    except planning.NotPlanned as late:
        return Submission(_launched(late), created=False)
    except IntegrityError:
        if idempotency_key and (earlier := replayed(actor, idempotency_key, digest)):
            return Submission(earlier, created=False)
        raise


def submit_all(
    task: Task, inputs: Sequence[Any], *, now: datetime, actor: str, owner: User | None = None, **wish: Any
) -> list[Execution]:
    """Make an execution of each input, in one transaction: all of them or none. Raises as `submit` does."""
    executions = [newborn(task, input=input, now=now, owner=owner, wish=wish) for input in inputs]
    with transaction.atomic():
        for execution, number in zip(executions, next_numbers(len(executions)), strict=True):
            execution.number = number
        bear(executions, now=now, actor=actor)
        failpoints.before_commit("submit", executions)
    failpoints.after_commit("submit", executions)
    return executions


def newborn(
    task: Task,
    *,
    input: Any,
    now: datetime,
    wish: Mapping[str, Any],
    version: TaskVersion | None = None,
    plan: Plan | None = None,
    **born: Any,
) -> Execution:
    """An execution not yet written, of the task's newest version or of the one named; `born` are further fields.

    Raises Invalid where the input does not fit or a wish cannot be, Refused where the task can no longer run.
    """
    chosen, asked = _version(task, version), Wish(**wish)
    text, pk = _checked(chosen, input, asked), new_id()
    priority = asked.priority or chosen.priority
    due_later = asked.start_at if asked.start_at is not None and asked.start_at > now else None
    execution = Execution(**{
        "id": pk,
        "lineage": pk,
        "task": task,
        "task_version": chosen,
        "plan": plan,
        "title": asked.title or (plan.name if plan else task.title),
        "state": State.PENDING,
        "state_at": now,
        "queue": asked.queue or chosen.queue,
        "requires": chosen.requires,
        "priority": priority,
        "rank": rank_of(priority, (due_later or now).timestamp()),
        "available_at": due_later,
        "limit_key": limits.key_of(chosen, input),
        "agent": chosen.agent if asked.agent is None else asked.agent,
        "team": chosen.team if asked.team is None else asked.team,
        "environment": chosen.environment if asked.environment is None else asked.environment,
        "labels": chosen.labels if asked.labels is None else list(asked.labels),
        "last_seq": 1,
        "changed_at": now,
        "created_at": now,
        "input": text,
        **born,
    })  # fmt: skip
    execution.ttl = asked.ttl  # its clock is written with it
    return execution


def bear(executions: Sequence[Execution], *, now: datetime, actor: str, **data: Any) -> None:
    """Write newborn executions, their clocks and their first events, inside the caller's transaction.

    One whose task says so ends at once, or takes the place of others, where as many of its key are live as may be at work.
    """
    limits.spread([execution for execution in executions if execution.limit_key and execution.available_at is None])
    insert(executions)
    if clocks := [timer for execution in executions for timer in _clocks(execution, now=now)]:
        Timer.objects.bulk_create(clocks)
    events.record_all(
        executions,
        "submitted",
        now=now,
        actor=actor,
        data=lambda execution: events.with_digests({**_told(execution), **data}, {"input": execution.input}),
    )
    meeting = [execution for execution in executions if execution.limit_key and _policy(execution).meets]
    limits.lock_tasks(execution.task_id for execution in meeting)
    for execution in meeting:
        _meet(execution, now=now)


def _policy(execution: Execution) -> Concurrency:
    return Concurrency.read(execution.task_version.concurrency)


def _meet(execution: Execution, *, now: datetime) -> None:
    """What becomes of a newborn execution, and of the others of its key, where that key may have no place left."""
    policy, others = _policy(execution), limits.live_of_key(execution)
    surplus = len(others) + 1 - (policy.limit or 0)
    if surplus > 0 and policy.on_conflict == OnConflict.SKIP:
        of_key = f" of “{limits.shown(execution.limit_key)}”" if policy.key else ""
        reason = f"skipped: {len(others)}{of_key} {'is' if len(others) == 1 else 'are'} live already"
        end(Execution.objects.all(), execution.pk, State.CANCELLED, now=now, actor="system", reason=reason,
            reason_code=Reason.CONFLICT)  # fmt: skip
        execution.refresh_from_db()
    elif surplus > 0:
        stopping = [pk for pk, state in others[:surplus] if state != State.CANCELLING]
        transaction.on_commit(lambda: _make_room(stopping, f"{execution} takes its place", now=now), robust=True)


def _make_room(stopping: Sequence[UUID], reason: str, *, now: datetime) -> None:
    """Cancel those whose place is taken, each in a transaction of its own; one that has ended meanwhile has made room."""
    for pk in stopping:
        with suppress(Refused):
            cancel(pk, now=now, actor="system", reason=reason, reason_code=Reason.CONFLICT)


def _clocks(execution: Execution, *, now: datetime) -> list[Timer]:
    """How long it may wait in its queue, and how long it may take altogether, where its task or its submitter says so."""
    timeouts = Timeouts.read(execution.task_version.timeouts)
    from_when = execution.available_at or now
    in_queue = execution.ttl if execution.ttl is not None else timeouts.queue
    allowed = {Timer.Kind.QUEUE: in_queue, Timer.Kind.EXECUTION: timeouts.execution}
    return [
        Timer(execution=execution, kind=kind, generation=0, due_at=from_when + timedelta(seconds=seconds))
        for kind, seconds in allowed.items()
        if seconds is not None
    ]


def _version(task: Task, version: TaskVersion | None) -> TaskVersion:
    chosen = version or task.latest
    if task.archived_at is not None or chosen is None:
        raise Refused(f"The task “{task.slug}” is archived: it can no longer run.", code="archived")
    return chosen


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
    if asked.ttl is not None and not 0 < asked.ttl <= LONGEST_TTL:
        wrong.append(Problem("/ttl", "must be a number of seconds above 0, of at most a year"))
    if asked.priority is not None and asked.priority not in PRIORITIES:
        wrong.append(Problem("/priority", f"must be one of {', '.join(PRIORITIES)}"))
    return wrong


def _digest(execution: Execution, wish: Mapping[str, Any]) -> str:
    """What makes two requests the same request: task, input, plan and wishes; the task's version may move on."""
    told = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in sorted(wish.items())}
    asked = encode([execution.task.slug, execution.plan_id, told])
    return hashlib.sha256(asked + b"\n" + execution.input.encode()).hexdigest()


def replayed(actor: str, key: str, digest: str) -> Execution | None:
    """What this key made before; raises Refused where that was another request."""
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


def _told(execution: Execution) -> dict[str, Any]:
    return {
        "number": execution.number,
        "task": execution.task.slug,
        "version": execution.task_version.number,
        "queue": execution.queue,
        "priority": execution.priority,
        "plan": execution.plan_id,
        "available_at": execution.available_at.isoformat() if execution.available_at else None,
    }
