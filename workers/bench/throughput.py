"""How much a house gets done: executions and steps a second, as ratios to raw Celery on the same Redis in the same run."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator

from django.conf import settings
from django.db import connection
from django.utils import timezone

from executions import queries, transitions
from tasks.models import Task
from workers.bench import yardstick
from workers.bench.engine import make_task, until_final
from workers.bench.figure import Figure, spread

BURST = 2000
TOGETHER = 10  # that are submitted in one transaction
WARM_UP = 200
ROUNDS = 3
STEPS = 100
STEP_RUNS = 10
PATIENCE = 180.0
ASKED = {"postgresql": "ratio ≥ 0.31, then 0.5, then 1", "sqlite": "ratio ≥ 0.25"}


def figures() -> Iterator[Figure]:
    """L2 and L12 of this house, whose worker has two slots."""
    database = connection.vendor
    nothing = make_task("bench-nothing", kind="action", handler="bench.nothing")
    steps = make_task("bench-steps", kind="action", handler="bench.steps")
    _burst(nothing, WARM_UP)
    rates, peers = [], []
    for _ in range(ROUNDS):
        peers.append(yardstick.per_second(settings.CELERY_BROKER_URL, count=BURST))
        rates.append(_burst(nothing, BURST))
    rate, peer = statistics.median(rates), statistics.median(peers)
    yield Figure("raw Celery", database, n=BURST, per_s=round(peer))
    yield Figure("L2", database, n=BURST, per_s=round(rate), ratio=round(rate / peer, 3), limit=ASKED[database])
    yield spread("L12", database, [_step_cost(steps) for _ in range(STEP_RUNS)], unit="ms", limit="≤ 3")


def _burst(task: Task, count: int) -> float:
    """Executions a second, from the first that is submitted to the last that is recorded as completed."""
    began = time.monotonic()
    for _ in range(count // TOGETHER):
        transitions.submit_all(task, [{}] * TOGETHER, now=timezone.now(), actor="bench")
    limit = time.monotonic() + PATIENCE
    while left := queries.unfinished_of(task.slug):
        if time.monotonic() > limit:
            raise TimeoutError(f"{left} of {count} did not end")
        time.sleep(0.01)
    return count / (time.monotonic() - began)


def _step_cost(task: Task) -> float:
    """Milliseconds a step, as its author waits for it."""
    pk = transitions.submit(task, input={"count": STEPS}, now=timezone.now(), actor="bench").execution.pk
    return float(json.loads(until_final(pk)["output"])) * 1000 / STEPS
