"""claim: a worker takes what is due, for all its free slots at once.

Guarantee: at most one attempt is current, for a claim raises the token in the UPDATE that takes the row. What is due is taken
in the order of its rank: the moment it became due less its priority's head start, so that nothing starves. No limit is ever
exceeded (`limits`), and nothing is taken from a paused queue.

What cannot be taken just now costs little, however much of it stands in front. A look goes over the first WINDOW rows of each
queue; where none of these can be taken it goes task by task, and leaves out the full ones whole. What starts later stands in
an index of its own, by its moment. The states are words of the statement, not parameters: SQLite uses a partial index only
where it can read the condition.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import F
from django.db.models.functions import Coalesce

from executions import limits
from executions.limits import Candidate, Room
from executions.models import Attempt, Claim, Execution, clock, clock_sql, in_states, insert
from executions.states import CLAIMABLE, State
from executions.transitions.moving import move_all, verb

WINDOW = 300  # rows at the head of a queue, or of a task in it, that one look goes over
OTHERS = 16  # claims for as many that may be under way: the rows they are taking are passed over
TASKS = 8  # more tasks than are wanted, whose first rows others may be taking

DUE = in_states(CLAIMABLE)
READY = f"queue = %s AND {DUE} AND available_at IS NULL"
UNPAUSED = "NOT EXISTS (SELECT 1 FROM tasks_queue WHERE name = %s AND paused_at IS NOT NULL)"
# A range of one task, in the order of task and rank, which stands in claim_by_task alone. With `task_id = n` PostgreSQL takes
# claim_order where its figures know of one task only, and reads all of a queue to find the first of another.
OF_TASK = "AND task_id BETWEEN {0} AND {0} ORDER BY task_id,"
HEAD = f"""
    SELECT id FROM (
        SELECT id FROM (
            SELECT id, rank, task_id, limit_key, requires FROM executions_execution
            WHERE {READY} AND {UNPAUSED} {{of_task}} rank, id LIMIT {WINDOW}
        ) head WHERE {{fits}} ORDER BY rank, id LIMIT {{most}}
    ) line"""
HEAD_OF_LATER = f"""
    SELECT id FROM (
        SELECT id FROM executions_execution
        WHERE queue = %s AND {DUE} AND available_at <= {{moment}} AND {UNPAUSED} AND {{fits}}
        ORDER BY available_at LIMIT {{most}}
    ) line"""
FIRST = f"""
    SELECT e.id, e.queue, e.task_id, e.limit_key, tasks_queue."limit", latest.concurrency, latest.rate
    FROM executions_execution e
    JOIN tasks_task task ON task.id = e.task_id JOIN tasks_taskversion latest ON latest.id = task.latest_id
    LEFT JOIN tasks_queue ON tasks_queue.name = e.queue
    WHERE e.id IN ({{lines}}) AND e.{DUE} ORDER BY e.rank, e.id LIMIT {{most}} {{locked}}"""
TASKS_IN = f"""
    WITH RECURSIVE standing(task) AS (
        SELECT (SELECT min(task_id) FROM executions_execution WHERE {READY})
        UNION ALL
        SELECT (SELECT min(task_id) FROM executions_execution WHERE {READY} AND task_id > standing.task)
        FROM standing WHERE standing.task IS NOT NULL
    )
    SELECT task,
        (SELECT rank FROM executions_execution WHERE {READY} {OF_TASK.format("task")} rank, id LIMIT 1),
        (SELECT requires FROM executions_execution WHERE {READY} {OF_TASK.format("task")} rank, id LIMIT 1)
    FROM standing WHERE task IS NOT NULL"""


@verb
def claim(
    worker: str,
    *,
    incarnation: int,
    queues: Sequence[str],
    offers: Sequence[str],
    now: datetime,
    most: int = 1,
    ahead: int = 0,
    quick: Sequence[str] = (),
) -> list[Claim]:
    """Take up to `most` due executions that this worker can run, the first of all these queues first.

    Where there are as many, up to `ahead` more of what needs no more than `quick`: work that is over in a moment, which its
    slots take one after another.
    """
    chosen, room = _choose(queues, offers, most=most)
    if ahead and quick and len(chosen) == most:
        chosen, room = _choose(queues, quick, most=most + ahead, chosen=chosen, room=room)
    if not chosen:
        return []
    place = {candidate.id: n for n, candidate in enumerate(chosen)}
    taken = move_all(
        Execution.objects.filter(pk__in=place),
        State.PREPARING,
        kind="claimed",
        now=now,
        actor=f"worker:{worker}",
        worker=worker,
        incarnation=incarnation,
        token=F("token") + 1,
        attempt=F("attempt") + 1,
        lease_until=clock() + settings.LEASE,
        available_at=None,
        started_at=Coalesce("started_at", now),
    )
    taken.sort(key=lambda execution: place[execution.pk])
    insert([_attempt(execution, room, now=now) for execution in taken])
    return [Claim(one.pk, one.token, one.attempt, worker, incarnation, one.parent_id) for one in taken]


def _attempt(execution: Execution, room: Room | None, *, now: datetime) -> Attempt:
    rated = room.moment if room is not None and room.is_rated(execution.task_id) else None
    return Attempt(
        execution=execution,
        number=execution.attempt,
        token=execution.token,
        worker=execution.worker,
        incarnation=execution.incarnation,
        rated_task=execution.task_id if rated else None,
        claimed_at=rated or now,
    )


def _choose(
    queues: Sequence[str],
    offers: Sequence[str],
    *,
    most: int,
    chosen: Sequence[Candidate] = (),
    room: Room | None = None,
) -> tuple[list[Candidate], Room | None]:
    """The first due executions that no limit forbids, their rows locked, and the room they were chosen by; `chosen` are in
    already, with the room that they left."""
    chosen = list(chosen)
    while len(chosen) < most:
        found = _due(queues, Fit(offers, room or Room(), chosen), wanted=most - len(chosen))
        if room is None and any(candidate.is_limited for candidate in found):
            room = _room(found, queues)
        allowed = [candidate for candidate in found if room is None or room.take(candidate)]
        chosen += allowed
        if room is None or not found:  # without limits, nothing stands in front of others
            break
    return chosen, room


def _room(found: Iterable[Candidate], queues: Sequence[str]) -> Room:
    """What the limits leave of all that stands in these queues: locked at once, so that nobody waits in a circle."""
    tasks = {candidate.task_id for candidate in found} | {task.id for task in _tasks_in(queues)}
    return limits.room(queues=queues, tasks=tasks)


@dataclass(frozen=True, slots=True)
class Fit:
    """What may be taken: what a worker offers to run, of tasks and keys that have a place left, and is not chosen already."""

    offers: Sequence[str]
    room: Room
    chosen: Sequence[Candidate]

    def sql(self) -> tuple[str, list[Any]]:
        parts = [f"requires IN ({_marks(self.offers)})"]
        params: list[Any] = list(self.offers)
        if full := self.room.full_tasks():
            parts.append(f"task_id NOT IN ({_marks(full)})")
            params += full
        for task, keys in self.room.full_keys().items():
            parts.append(f"NOT (task_id = %s AND limit_key IN ({_marks(keys)}))")
            params += [task, *keys]
        if self.chosen:
            parts.append(f"id NOT IN ({_marks(self.chosen)})")
            params += [_id(candidate.id) for candidate in self.chosen]
        return " AND ".join(parts), params


def _due(queues: Sequence[str], fit: Fit, *, wanted: int) -> list[Candidate]:
    """The first candidates, locked: from the heads of the queues, or where these hold nothing that fits, of the tasks."""
    open_queues = [queue for queue in queues if queue not in fit.room.full_queues()]
    if not open_queues or not fit.offers:
        return []
    fits, fitting = fit.sql()
    most = wanted * (1 + OTHERS) + OTHERS
    heads = [(HEAD.format(of_task="ORDER BY", fits=fits, most=most), [queue, queue, *fitting]) for queue in open_queues]
    moment, present = clock_sql()
    later = HEAD_OF_LATER.format(moment=moment, fits=fits, most=most)
    heads += [(later, [queue, *present, queue, *fitting]) for queue in open_queues]
    return _first(heads, wanted=wanted) or _first(
        [
            (
                HEAD.format(of_task=OF_TASK.format(f"{task.id:d}"), fits=fits, most=most),
                [task.queue, task.queue, *fitting],
            )
            for task in _tasks_that(fit, open_queues)[: wanted + TASKS]
        ],
        wanted=wanted,
    )


def _first(heads: Sequence[tuple[str, list[Any]]], *, wanted: int) -> list[Candidate]:
    """The first of all these heads; PostgreSQL passes over rows that others are taking, and SQLite's transaction (BEGIN
    IMMEDIATE) has kept every other writer out."""
    if not heads:
        return []
    locked = "FOR UPDATE OF e SKIP LOCKED" if connection.features.has_select_for_update_skip_locked else ""
    sql = FIRST.format(lines=" UNION ALL ".join(text for text, _ in heads), most=int(wanted), locked=locked)
    return [Candidate(UUID(str(pk)), *rest) for pk, *rest in _rows(sql, [one for _, params in heads for one in params])]


@dataclass(frozen=True, slots=True)
class Standing:
    """A task of which something can be claimed at once in a queue: the rank of its first execution, and what that needs."""

    queue: str
    id: int
    rank: float
    requires: str


def _tasks_in(queues: Iterable[str]) -> list[Standing]:
    """The tasks that stand in these queues, each found by one jump in the index."""
    return [Standing(queue, *row) for queue in queues for row in _rows(TASKS_IN, [queue] * 4)]


def _tasks_that(fit: Fit, queues: Sequence[str]) -> list[Standing]:
    """Those that have a place left and whose first execution can be run, the one with the first in front."""
    full = fit.room.full_tasks()
    fitting = [task for task in _tasks_in(queues) if task.id not in full and task.requires in fit.offers]
    return sorted(fitting, key=lambda task: task.rank)


def _rows(sql: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())


def _id(pk: UUID) -> Any:
    return Execution._meta.pk.get_db_prep_value(pk, connection)


def _marks(values: Sequence[Any]) -> str:
    return ", ".join(["%s"] * len(values))
