"""What is due, what ran out, what waits for slots: for those who keep the house going."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection

from executions import families
from executions.models import (
    Execution,
    Timer,
    Worker,
    clock,
    clock_sql,
    in_states,
    read_clock,
)
from executions.states import CLAIMABLE
from tasks.models import Queue

REAP_GRACE = timedelta(seconds=5)


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


def to_cancel(*, limit: int = 100) -> list[UUID]:
    """Living children that nobody waits for any more."""
    return list(families.to_cancel().values_list("pk", flat=True)[:limit])
