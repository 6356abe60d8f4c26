"""How quickly claims are made: many claimers at once on a long backlog, and one on a very long one, through the real code.

The backlog is copied inside the database from one execution that was submitted through the door, with its first event: a
million submissions would take the most of an hour.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import redis
from django.conf import settings
from django.db import connection, connections
from django.db.backends.postgresql.base import DatabaseWrapper
from django.utils import timezone

from executions import queries, transitions
from tasks import manifest
from tasks.models import Task
from workers import scheduler
from workers.bench.engine import launch, make_task
from workers.bench.figure import Figure, spread
from workers.bench.scratch import end, spawn, until
from workers.dispatch import Bell, queue_name
from workers.supervisor.house import redis_command

BACKLOG, LONG_BACKLOG = 100_000, 1_000_000
CLAIMERS = 16
SECONDS = 10.0
SAMPLES = 1000
SWEEPS = 20
SLOTS = 4
QUEUE, HANDLER = "bench-claims", "bench.nobody"
ASKED = {"postgresql": "≥ 400", "sqlite": "≥ 150"}


def figures() -> Iterator[Figure]:
    """L1 and L11 of this house's database, while the house itself stands still."""
    database = connection.vendor
    task = make_task("bench-claims", kind="action", handler=HANDLER, queue=QUEUE)
    pile(launch(task), BACKLOG)
    for most in (1, SLOTS):
        name = "L1" if most == 1 else f"L1, {most} slots each"
        yield Figure(name, database, n=BACKLOG, per_s=round(_claims_a_second(most)), limit=ASKED[database])
    pile(launch(task), LONG_BACKLOG - BACKLOG)
    yield spread("L11", database, [_claim() for _ in range(SAMPLES)], unit="ms", limit="p99 ≤ 50")
    yield spread("L11, a sweep", database, [_sweep() for _ in range(SWEEPS)], unit="ms", limit="p99 ≤ 50")
    yield Figure("L11, wake-ups outstanding", database, n=SWEEPS, value=_outstanding(), limit=f"≤ {SLOTS}")
    yield spread("L11, behind a full task", database, _behind_a_full_task(task), unit="ms", limit="p99 ≤ 50")


def pile(pk: UUID, count: int) -> None:
    """Copies of one pending execution and its event: each a little later in its queue than the one before."""
    series = "generate_series(1, %s)" if connection.vendor == "postgresql" else "json_each(%s)"
    many = count if connection.vendor == "postgresql" else f"[{', '.join(map(str, range(1, count + 1)))}]"
    new_id = "gen_random_uuid()" if connection.vendor == "postgresql" else "lower(hex(randomblob(16)))"
    least = "LEAST(0, min(number))" if connection.vendor == "postgresql" else "min(0, min(number))"
    n = "n" if connection.vendor == "postgresql" else "n.value"
    own = {"id": new_id, "lineage": new_id, "number": f"first.number - {n}", "rank": f"rank + {n} * 0.000001"}
    with connection.cursor() as cursor:
        columns = _columns("executions_execution")
        values = ", ".join(own.get(name, f'one."{name}"') for name in columns)
        cursor.execute(
            f"INSERT INTO executions_execution ({_quoted(columns)}) SELECT {values} FROM executions_execution one, "
            f"{series} n, (SELECT {least} AS number FROM executions_execution) first WHERE one.id = %s",
            [many, _id(pk)],
        )
        columns = [name for name in _columns("executions_event") if name != "id"]
        values = ", ".join("made.id" if name == "execution_id" else f'event."{name}"' for name in columns)
        cursor.execute(
            f"INSERT INTO executions_event ({_quoted(columns)}) SELECT {values} FROM executions_event event, "
            "executions_execution made JOIN executions_execution one ON made.task_id = one.task_id "
            "WHERE one.id = %s AND event.execution_id = one.id AND made.created_at = one.created_at AND made.id <> one.id",
            [_id(pk)],
        )
        cursor.execute("ANALYZE")


def _claims_a_second(most: int) -> float:
    """Executions claimed a second by processes that all begin at once, each for as many slots."""
    connections.close_all()
    if isinstance(connections["default"], DatabaseWrapper):
        connections["default"].close_pool()  # a forked process must not share its connections
    context = multiprocessing.get_context("fork")
    start = time.time() + 3.0
    with ProcessPoolExecutor(CLAIMERS, mp_context=context) as pool:
        claimed = sum(pool.map(_claim_on, [start] * CLAIMERS, [most] * CLAIMERS, range(CLAIMERS)))
    return claimed / SECONDS


def _claim_on(start: float, most: int, number: int) -> int:
    """Claim from `start` on for SECONDS; how many were claimed."""
    _offer(1, worker=f"bench-{number}", queue="nothing-stands-here")  # its connection stands before the start
    time.sleep(max(0.0, start - time.time()))
    claimed = 0
    while time.time() < start + SECONDS:
        claimed += _offer(most, worker=f"bench-{number}")
    return claimed


def _offer(most: int, *, worker: str = "bench", queue: str = QUEUE) -> int:
    offers = [f"action:{HANDLER}"]
    return len(transitions.claim(worker, incarnation=1, queues=[queue], offers=offers, now=timezone.now(), most=most))


def _claim() -> float:
    """Milliseconds of one claim."""
    began = time.perf_counter()
    assert _offer(1) == 1
    return (time.perf_counter() - began) * 1000


def _sweep() -> float:
    """Milliseconds of what a sweep asks of the database."""
    began = time.perf_counter()
    assert queries.due_by_queue(most=SLOTS)[QUEUE] == SLOTS
    return (time.perf_counter() - began) * 1000


def _outstanding() -> int:
    """The most wake-ups that stand in Redis while nobody hears them and the scheduler sweeps on and on."""
    transitions.enlist(
        "bench", host="", pid=0, slots=SLOTS, queues=[QUEUE], labels={}, offers=[f"action:{HANDLER}"], sandbox="",
        sandbox_problem="", now=timezone.now(),
    )  # fmt: skip
    bell, most = Bell(), 0
    with _redis() as client:
        for _ in range(SWEEPS):
            scheduler.sweep(bell)
            time.sleep(0.1)
            most = max(most, int(client.llen(queue_name(QUEUE))))
    assert most, "the sweep did not ring"
    return most


@contextmanager
def _redis() -> Iterator[redis.Redis]:
    """The house's Redis, while the house stands still."""
    path = Path(settings.REDIS_URL.removeprefix("unix://").partition("?")[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="runboard-redis-") as data:
        process = spawn(redis_command(path, Path(data)))
        try:
            client = redis.Redis.from_url(settings.REDIS_URL)
            until(lambda: path.exists() and client.ping(), what="Redis does not answer")
            yield client
            client.close()
        finally:
            end(process)


def _behind_a_full_task(task: Task) -> list[float]:
    """Milliseconds of claims while all that stands in front belongs to a task at its limit."""
    given = {"kind": "action", "handler": HANDLER, "queue": QUEUE, "concurrency": {"limit": 1}}
    manifest.add_version(task, given, now=timezone.now(), by="bench")
    other = make_task("bench-claims-other", kind="action", handler=HANDLER, queue=QUEUE)
    pile(launch(other), SAMPLES // 4)
    return [_claim() for _ in range(SAMPLES // 4)]


def _columns(table: str) -> list[str]:
    with connection.cursor() as cursor:
        return [column.name for column in connection.introspection.get_table_description(cursor, table)]


def _quoted(names: list[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _id(pk: UUID) -> str:
    return str(pk) if connection.vendor == "postgresql" else pk.hex
