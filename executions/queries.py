"""Every named question about what happened: for the faces, and for workers, who get values and never a row."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Count, Exists, F, Min, OuterRef, Q, QuerySet, Subquery

from executions import families
from executions.models import (
    Claim,
    Execution,
    Firing,
    LogChunk,
    LogLine,
    Question,
    Step,
    Timer,
    Wait,
    Worker,
    clock,
    clock_sql,
    in_states,
    read_clock,
)
from executions.states import CLAIMABLE, HELD, LIVE, PHASES, State
from tasks.models import Plan, Queue, Schedule, TaskVersion

MOST_COUNTED = 1000
ENDED = ("completed", "failed")  # columns
REAP_GRACE = timedelta(seconds=5)


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


def brief(pk: UUID) -> dict[str, Any]:
    """Where an execution is and how it ended, in plain values, with the number of its recorded steps."""
    names = ("state", "attempt", "finished_at", "output", "error")
    row = Execution.objects.annotate(recorded=Count("steps")).values(*names, "recorded").get(pk=pk)
    return dict(row)


def unfinished_of(slug: str) -> int:
    """How many executions of a task have not ended."""
    return Execution.objects.filter(task__slug=slug, state__in=LIVE).count()


def holding(claims: Iterable[Claim]) -> dict[UUID, str]:
    """The states of those claims that still hold their execution, by id; what is missing is lost."""
    tokens = {claim.execution_id: claim.token for claim in claims}
    rows = Execution.objects.filter(pk__in=tokens, state__in=HELD).values_list("pk", "token", "state")
    return {pk: state for pk, token, state in rows if tokens[pk] == token}


def held_by(worker: str, *, incarnation: int) -> dict[UUID, int]:
    """What a life of a worker holds by the record, with its tokens."""
    rows = Execution.objects.held_by(worker).filter(incarnation=incarnation)
    return dict(rows.values_list("pk", "token"))


def expired(*, limit: int = 100) -> list[tuple[UUID, int]]:
    """Held executions whose lease ran out more than the reap grace ago, with the token that must still be theirs."""
    before = clock() - min(settings.LEASE / 4, REAP_GRACE)
    return list(Execution.objects.expired(before=before).values_list("pk", "token")[:limit])


def due_by_queue(*, most: int) -> dict[str, int]:
    """How many executions could be claimed now, by queue, counted up to `most` in each; paused queues are left out."""
    moment, present = clock_sql()
    mine = f"SELECT 1 FROM executions_execution WHERE queue = tasks_queue.name AND {in_states(CLAIMABLE)}"
    sql = f"""
        SELECT name,
            (SELECT count(*) FROM ({mine} AND available_at IS NULL LIMIT {most:d}) ready),
            (SELECT count(*) FROM ({mine} AND available_at <= {moment} LIMIT {most:d}) later)
        FROM tasks_queue WHERE paused_at IS NULL"""
    with connection.cursor() as cursor:
        cursor.execute(sql, present)
        return {name: min(ready + later, most) for name, ready, later in cursor.fetchall() if ready + later}


def queue_names() -> list[str]:
    """Every queue there is."""
    return list(Queue.objects.values_list("name", flat=True))


def queues() -> list[Queue]:
    """Every queue, by name."""
    return list(Queue.objects.all())


def slots_by_queue() -> dict[str, int]:
    """How many slots the living workers have for each queue."""
    slots: dict[str, int] = {}
    for worker in Worker.objects.living().filter(state=Worker.State.READY):
        for queue in worker.queues:
            slots[queue] = slots.get(queue, 0) + worker.slots
    return slots


def sandboxed_elsewhere(queues: Sequence[str], *, name: str) -> bool:
    """Whether another living worker of one of these queues has a working sandbox."""
    others = Worker.objects.living().exclude(name=name).exclude(sandbox="")
    return any(set(queues) & set(other.queues) for other in others)


def due_timers(*, limit: int = 100) -> list[int]:
    """Timers whose moment has come, by the database's clock."""
    return list(Timer.objects.filter(due_at__lte=clock()).order_by("due_at").values_list("pk", flat=True)[:limit])


def next_moment(*, after: datetime) -> float | None:
    """In how many seconds, by the database's clock, the first thing after a moment is due: a timer, a schedule's tick, or an
    execution that starts later. None where nothing is; negative where it has become due since."""
    moment = connection.ops.adapt_datetimefield_value(after)
    later = f"SELECT min(available_at) FROM executions_execution WHERE queue = name AND {in_states(CLAIMABLE)}"
    sql = f"""
        SELECT min(due_at) FROM executions_timer WHERE due_at > %s
        UNION ALL SELECT min(next_at) FROM tasks_schedule WHERE next_at > %s
        UNION ALL SELECT ({later} AND available_at > %s) FROM tasks_queue WHERE paused_at IS NULL"""
    with connection.cursor() as cursor:
        cursor.execute(sql, [moment, moment, moment])
        known = [_moment_of(value) for (value,) in cursor.fetchall() if value is not None]
    return (min(known) - read_clock()).total_seconds() if known else None


def _moment_of(value: Any) -> datetime:
    """A moment as a raw statement tells it: SQLite's is text without a zone, in UTC."""
    return value if isinstance(value, datetime) else datetime.fromisoformat(value).replace(tzinfo=UTC)


def in_column(phase: str, *, after: tuple[Any, UUID] | None = None, limit: int = 50) -> list[Execution]:
    """Cards of one column after the one with this keyset: newest first by (state_at, id), those in Pending as they will
    start, by (rank, id: a number and a UUID)."""
    rows = _cards().filter(in_phases([phase]), _is_shown(phase))
    if phase == "pending":
        if after is not None:
            rows = rows.filter(rank__gte=after[0]).exclude(rank=after[0], id__lte=after[1])
        return list(rows.order_by("rank", "id")[:limit])
    if after is not None:
        rows = rows.filter(state_at__lte=after[0]).exclude(state_at=after[0], id__gte=after[1])
    return list(rows.order_by("-state_at", "-id")[:limit])


def count_in(phase: str) -> int:
    """How many executions stand in a column, counted up to MOST_COUNTED + 1."""
    return Execution.objects.filter(in_phases([phase]), _is_shown(phase))[: MOST_COUNTED + 1].count()


def cards(ids: Iterable[UUID]) -> list[Execution]:
    """Executions as cards, by id, in one query."""
    return list(_cards().filter(pk__in=list(ids)))


def in_phases(names: Iterable[str]) -> Q:
    """Those in one of these phases: by their state, and what is paused where it was."""
    wanted = set(names)
    states = {state for name in wanted for state in PHASES.get(name, ())}
    if "pending" in wanted and "running" not in wanted:
        return Q(state__in=sorted(states | {State.PAUSED}), paused_from__in=["", State.PENDING])
    if "running" in wanted and "pending" not in wanted:
        return Q(state__in=sorted(states)) & ~Q(paused_from=State.PENDING)
    return Q(state__in=sorted(states))


def runs(lineage: UUID) -> list[Execution]:
    """All runs of one lineage, the first first."""
    return list(Execution.objects.filter(lineage=lineage).only("number", "run", "state", "lineage").order_by("run"))


def children(pk: UUID, *, limit: int) -> list[Execution]:
    """What an execution started, in the order of its calls."""
    rows = Execution.objects.filter(parent=pk).select_related("task").defer("input", "output", "error")
    return list(rows.order_by("created_at", "number")[:limit])


def changed_since(moment: datetime, *, limit: int = 501) -> list[UUID]:
    """Executions that changed after `moment` (database clock), oldest change first."""
    rows = Execution.objects.filter(changed_at__gt=moment).order_by("changed_at")
    return list(rows.values_list("pk", flat=True)[:limit])


def plans_changed_since(moment: datetime, *, limit: int = 501) -> list[int]:
    """Plans that changed after `moment`, oldest change first; those that left Planning too."""
    return list(Plan.objects.filter(changed_at__gt=moment).order_by("changed_at").values_list("pk", flat=True)[:limit])


def present() -> datetime:
    """The database's clock now: a page's cursor is this, read before its snapshot."""
    return read_clock()


def open_questions() -> QuerySet[Question]:
    """What people are asked, oldest first."""
    return Question.objects.filter(state=Question.State.OPEN).select_related("execution", "execution__task")


def open_question_count() -> int:
    return Question.objects.filter(state=Question.State.OPEN).count()


def lines(execution_id: UUID, *, after: int = 0, limit: int = 500) -> list[LogLine]:
    """Log lines with n > `after`, in order."""
    return LogChunk.objects.filter(execution=execution_id).lines(after=after, limit=limit)


def workers() -> list[Worker]:
    """Workers that ever served, the living first."""
    return sorted(Worker.objects.all(), key=lambda worker: (not worker.is_living, worker.name))


def at_work() -> list[Execution]:
    """Executions that a worker holds now, as cards, the one that began first in front."""
    return list(Execution.objects.for_cards().filter(state__in=HELD).order_by("started_at", "id"))


def waiting_since() -> dict[str, tuple[int, datetime]]:
    """By queue: how many wait for a slot, and since when the first of those that never ran does."""
    rows = Execution.objects.filter(state__in=CLAIMABLE).order_by().values("queue")
    return {row["queue"]: (row["n"], row["since"]) for row in rows.annotate(n=Count("pk"), since=Min("created_at"))}


def last_firings(schedules: Iterable[Schedule]) -> dict[int, Firing]:
    """What came of the last tick of each, by the schedule's key, with the number and state of its execution."""
    rows = Firing.objects.filter(schedule=OuterRef("pk")).order_by("-fire_at").values("pk")[:1]
    wanted = Schedule.objects.filter(pk__in=[schedule.pk for schedule in schedules]).order_by()
    newest = wanted.values_list(Subquery(rows), flat=True)
    of_execution = ("execution__number", "execution__state", "execution__waiting_for")
    shown = ("schedule", "fire_at", "fired_at", "refused", *of_execution)
    found = Firing.objects.select_related("execution").filter(pk__in=newest).only(*shown)
    return {firing.schedule_id: firing for firing in found}


def _cards() -> QuerySet[Execution]:
    """Cards, with the number of what started them, and whether a later run of their lineage took their place."""
    return Execution.objects.for_cards().annotate(parent_number=F("parent__number"), is_superseded=_is_superseded())


def _is_shown(phase: str) -> Q:
    """What has ended leaves the board when it is run again; what is under way never does."""
    return ~Q(_is_superseded()) if phase in ENDED else Q()


def _is_superseded() -> Exists:
    return Exists(Execution.objects.filter(lineage=OuterRef("lineage"), run__gt=OuterRef("run")))


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


def to_cancel(*, limit: int = 100) -> list[UUID]:
    """Living children that nobody waits for any more."""
    return list(families.to_cancel().values_list("pk", flat=True)[:limit])
