"""How many at once and how often: what a queue and the newest version of a task allow, and what is left of that.

Guarantee: no limit is ever exceeded. Places are counted from held rows, never from stored counters, and only by a transaction
that holds the limit's lock until its commit: two that only counted would both find one place left. On SQLite the write lock
is that lock. Locks are taken in one order, so nobody waits in a circle. What has no limit pays for none.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection
from django.db.models import Count

from executions.models import Attempt, Execution, in_states, read_clock
from executions.states import HELD, LIVE
from tasks.models import Queue, Task, TaskVersion
from tasks.policy import Concurrency, Rate

NONE = "{}"  # how a version that says nothing stores its concurrency and its rate
KEYLESS = "="  # the key of everything whose task has limits and names no key
LONGEST_KEY = 200
SPACING = 1.0  # seconds of rank between two executions of one key


class Candidate(NamedTuple):
    """An execution that could be claimed, with the limits that concern it as they stand in the database (JSON text)."""

    id: UUID
    queue: str
    task_id: int
    limit_key: str
    queue_limit: int | None
    concurrency: str
    rate: str

    @property
    def is_limited(self) -> bool:
        return self.queue_limit is not None or self.is_of_limited_task

    @property
    def is_of_limited_task(self) -> bool:
        return self.concurrency != NONE or self.rate != NONE


@dataclass
class Places:
    """What is left of one task's limits: places at work altogether or by key, and attempts that may begin just now."""

    limit: int | None
    by_key: bool
    held: Counter[str]
    begins: int | None

    def is_full(self) -> bool:
        return self.begins == 0 or (self.limit is not None and not self.by_key and self.held.total() >= self.limit)

    def full_keys(self) -> list[str]:
        return [key for key, held in self.held.items() if self.by_key and self.limit is not None and held >= self.limit]

    def take(self, key: str) -> bool:
        """Take a place, if there is one for this key."""
        if self.is_full() or key in self.full_keys():
            return False
        self.held[key] += 1
        self.begins = None if self.begins is None else self.begins - 1
        return True


@dataclass
class Room:
    """What is left of the limits that this transaction has locked, at one `moment`; they stay locked until its commit."""

    queues: dict[str, int] = field(default_factory=dict)
    tasks: dict[int, Places] = field(default_factory=dict)
    moment: datetime | None = None

    def take(self, candidate: Candidate) -> bool:
        """Take a place under every limit that concerns a candidate; False, and nothing is taken, where one has none left,
        or is not locked."""
        queue = self.queues.get(candidate.queue, None if candidate.queue_limit is None else 0)
        if queue is not None and queue <= 0:
            self.queues[candidate.queue] = 0
            return False
        if not self._has(candidate):
            return False
        if queue is not None:
            self.queues[candidate.queue] = queue - 1
        return True

    def is_rated(self, task_id: int) -> bool:
        """Whether attempts of this task are counted by a rate."""
        return task_id in self.tasks and self.tasks[task_id].begins is not None

    def full_queues(self) -> list[str]:
        return [name for name, left in self.queues.items() if left <= 0]

    def full_tasks(self) -> list[int]:
        return [task for task, places in self.tasks.items() if places.is_full()]

    def full_keys(self) -> dict[int, list[str]]:
        return {task: keys for task, places in self.tasks.items() if (keys := places.full_keys())}

    def _has(self, candidate: Candidate) -> bool:
        places = self.tasks.get(candidate.task_id)
        if places is None and candidate.is_of_limited_task:
            places = self.tasks[candidate.task_id] = Places(0, False, Counter(), 0)
        return places is None or places.take(candidate.limit_key)


def room(*, queues: Iterable[str], tasks: Collection[int]) -> Room:
    """Lock the limits of those of these queues and tasks that have any, then count what is left of them, inside the caller's
    transaction. A limit that came between the two looks is found by the next claim."""
    limited = Queue.objects.filter(name__in=list(queues), limit__isnull=False)
    names, ids = list(limited.values_list("name", flat=True)), [pk for pk, _ in _newest(tasks)]
    lock([*(f"queue:{name}" for name in names), *(f"task:{pk}" for pk in ids)])
    limits = dict(limited.filter(name__in=names).values_list("name", "limit")) if names else {}
    policies = {pk: _policies(version) for pk, version in _newest(ids)}
    policies = {pk: policy for pk, policy in policies.items() if policy != (Concurrency(), Rate())}
    by_queue, by_task = _held() if limits or policies else (Counter(), {})
    moment = read_clock() if any(rate.limit is not None for _, rate in policies.values()) else None
    return Room(
        queues={name: (limit or 0) - by_queue[name] for name, limit in limits.items()},
        tasks={
            pk: Places(most.limit, bool(most.key), by_task.get(pk, Counter()), _begins(pk, rate, moment))
            for pk, (most, rate) in policies.items()
        },
        moment=moment,
    )


def lock(names: Collection[str]) -> None:
    """Wait for these locks, in one order for everybody, and hold them until the transaction ends."""
    if not names or connection.vendor != "postgresql":
        return
    keys = sorted(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True) for name in names)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(key) FROM unnest(%s::bigint[]) AS key", [keys])


def lock_tasks(ids: Iterable[int]) -> None:
    """Hold the limits of tasks until the transaction ends."""
    lock([f"task:{pk}" for pk in sorted(set(ids))])


def key_of(version: TaskVersion, input: Any) -> str:
    """What an execution of this version counts by: empty without limits, else “=” and the value that `concurrency.key` names
    in the input (hashed where it is long)."""
    if not version.concurrency and not version.rate:
        return ""
    policy = Concurrency.read(version.concurrency)
    key = policy.key_of(input) if policy.key else ""
    if len(key) > LONGEST_KEY:
        key = "sha256:" + hashlib.sha256(key.encode()).hexdigest()
    return KEYLESS + key


def shown(limit_key: str) -> str:
    """A key as people read it."""
    return limit_key.removeprefix(KEYLESS)


def live_of_key(execution: Execution) -> list[tuple[UUID, str]]:
    """The other live executions of an execution's task and key, with their states, the oldest first."""
    sql = f"""
        SELECT id, state FROM executions_execution
        WHERE task_id = %s AND limit_key = %s AND limit_key > '' AND {in_states(LIVE)} ORDER BY id
    """
    rows = Execution.objects.raw(sql, [execution.task_id, execution.limit_key])
    return [(row.pk, row.state) for row in rows if row.pk != execution.pk]


def spread(newborn: Iterable[Execution]) -> None:
    """Give newborn executions that have a key their rank: as their priority says, and no nearer than SPACING behind the last of
    their key and priority that waits in their queue.

    This is start-time fair queueing (Goyal, Vin and Cheng, 1996) with the time of day for its virtual time: a burst of one
    key is spread over the time to come, so that another key stands behind at most one execution of it for each second since
    the burst began. A rank is never raised later, so nothing starves.
    """
    last: dict[tuple[Any, ...], float | None] = {}
    for execution in newborn:
        place = (execution.task_id, execution.limit_key, execution.queue, execution.priority)
        before = last[place] if place in last else _last_rank(*place)
        execution.rank = execution.rank if before is None else max(execution.rank, before + SPACING)
        last[place] = execution.rank


def _last_rank(task_id: int, limit_key: str, queue: str, priority: str) -> float | None:
    sql = f"""
        SELECT max(rank) FROM executions_execution
        WHERE task_id = %s AND limit_key = %s AND queue = %s AND priority = %s
          AND limit_key > '' AND {in_states(LIVE)} AND state = 'pending' AND available_at IS NULL
    """
    with connection.cursor() as cursor:
        cursor.execute(sql, [task_id, limit_key, queue, priority])
        rank: float | None = cursor.fetchone()[0]
        return rank


@dataclass(frozen=True, slots=True)
class Stop:
    """Why an execution that could be claimed is not: its queue is paused (`queue_paused`, `by` whom), or a limit is reached
    (`queue_limit`, `task_limit`, `key_limit`, `rate`, which goes on `at` a moment)."""

    code: str
    limit: int = 0
    key: str = ""
    by: str = ""
    seconds: float = 0.0
    at: datetime | None = None


def stops(executions: Iterable[Execution]) -> dict[UUID, Stop]:
    """What the limits hold back just now of these, by id; without a lock, so it tells people and decides nothing."""
    rows = list(executions)
    queues = Queue.objects.exclude(limit=None, paused_at=None).filter(name__in={row.queue for row in rows})
    closing = {queue.name: queue for queue in queues}
    policies = {pk: _policies(version) for pk, version in _newest({row.task_id for row in rows})}
    policies = {pk: policy for pk, policy in policies.items() if policy != (Concurrency(), Rate())}
    if not closing and not policies:
        return {}
    by_queue, by_task = _held()
    moment = read_clock()
    begun = {pk: _begun(pk, rate, moment) for pk, (_, rate) in policies.items() if rate.limit is not None}

    def stop(row: Execution) -> Stop | None:
        queue, (most, rate) = closing.get(row.queue), policies.get(row.task_id, (Concurrency(), Rate()))
        if queue is not None and queue.is_paused:
            return Stop("queue_paused", by=queue.paused_by)
        if queue is not None and queue.limit is not None and by_queue[queue.name] >= queue.limit:
            return Stop("queue_limit", queue.limit)
        held = by_task.get(row.task_id, Counter())
        if most.limit is not None and most.key and held[row.limit_key] >= most.limit:
            return Stop("key_limit", most.limit, shown(row.limit_key))
        if most.limit is not None and not most.key and held.total() >= most.limit:
            return Stop("task_limit", most.limit)
        if rate.limit is not None and len(begun[row.task_id]) >= rate.limit:
            at = begun[row.task_id][-1] + timedelta(seconds=rate.per_seconds)
            return Stop("rate", rate.limit, seconds=rate.per_seconds, at=at)
        return None

    return {row.pk: found for row in rows if (found := stop(row)) is not None}


def _newest(ids: Collection[int]) -> list[tuple[int, TaskVersion]]:
    """Those of these tasks that have limits, with their newest version."""
    if not ids:
        return []
    named = ("latest__task", "latest__concurrency", "latest__rate")
    rows = Task.objects.filter(pk__in=ids, latest__isnull=False).select_related("latest").only(*named)
    limited = rows.exclude(latest__concurrency={}, latest__rate={})
    return [(row.pk, row.latest) for row in limited if row.latest is not None]


def _policies(version: TaskVersion) -> tuple[Concurrency, Rate]:
    return Concurrency.read(version.concurrency), Rate.read(version.rate)


def _held() -> tuple[Counter[str], dict[int, Counter[str]]]:
    """How many executions are held, by queue, and by task and key: few rows, for they are no more than there are slots."""
    by_queue: Counter[str] = Counter()
    by_task: dict[int, Counter[str]] = {}
    rows = Execution.objects.standing(HELD).order_by().values_list("queue", "task_id", "limit_key")
    for queue, task, key, count in rows.annotate(count=Count("pk")):
        by_queue[queue] += count
        by_task.setdefault(task, Counter())[key] += count
    return by_queue, by_task


def _begins(task_id: int, rate: Rate, moment: datetime | None) -> int | None:
    """How many attempts may begin now by a task's rate; None where it has none."""
    if rate.limit is None or moment is None:
        return None
    return max(0, rate.limit - len(_begun(task_id, rate, moment)))


def _begun(task_id: int, rate: Rate, moment: datetime) -> Sequence[datetime]:
    """When attempts began that the rate still counts, the newest first, up to its limit."""
    since = moment - timedelta(seconds=rate.per_seconds)
    rows = Attempt.objects.filter(rated_task=task_id, rated_task__isnull=False, claimed_at__gt=since)
    return list(rows.order_by("-claimed_at").values_list("claimed_at", flat=True)[: rate.limit])
