"""How quickly submitted work starts, ends, and goes on after a kill: measured through the door, inside a scratch house."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.utils import timezone

from executions import queries, transitions
from tasks import manifest
from tasks.models import Task
from workers.bench.figure import Figure, spread

SAMPLES = 200
SANDBOXED = 40
KILLS = 5
HEALTHY = 11.0  # seconds after which the supervisor counts a death as the first one again
ANSWERS = 20
CANCELS = 5
SLEEPS = "import time\ntime.sleep(60)\n"
IGNORES = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: time.sleep(1)\n"
WARM_UP = 5
PATIENCE = 60.0


def figures() -> Iterator[Figure]:
    """The rows of this house, made one after the other."""
    database = connection.vendor
    stamp = make_task("bench-stamp", kind="action", handler="bench.stamp")
    script = make_task("bench-script", kind="script", runtime="python", source="import runboard\nrunboard.output(1)\n")
    yield spread("L4", database, _start_latency(stamp), unit="ms", limit="p50 ≤ 15, p99 ≤ 100")
    yield spread("end to end, sandboxed Python", database, _end_to_end(script), unit="ms", limit="p50 ≤ 150")
    yield spread("F0", database, [_recovery() for _ in range(KILLS)], unit="s", limit="≤ 3")
    yield spread("L13 answer to running", database, [_answered() for _ in range(ANSWERS)], unit="s", limit="p95 ≤ 1")
    yield spread("L13 cancel to gone", database, [_cancelled(SLEEPS) for _ in range(CANCELS)], unit="s", limit="≤ 2")
    yield spread("L13 cancel of what ignores it", database, [_cancelled(IGNORES)], unit="s", limit="≤ 12")


def _start_latency(task: Task) -> list[float]:
    """Milliseconds from the call of submit to the author's first line, with idle workers."""
    samples = []
    for _ in range(WARM_UP + SAMPLES):
        began = time.time()
        done = until_final(launch(task))
        samples.append((float(json.loads(done["output"])) - began) * 1000)
    return samples[WARM_UP:]


def _end_to_end(task: Task) -> list[float]:
    """Milliseconds from the call of submit to the committed completion."""
    samples = []
    for _ in range(WARM_UP + SANDBOXED):
        began = timezone.now()
        done = until_final(launch(task))
        samples.append((done["finished_at"] - began).total_seconds() * 1000)
    return samples[WARM_UP:]


def _recovery() -> float:
    """Seconds from kill -9 of the worker in mid-run to the author's code being active again."""
    time.sleep(HEALTHY)
    pk = launch(Task.objects.get(slug="long-import"), steps=4, seconds=0.3)
    _until(lambda: queries.brief(pk)["state"] == "running" and queries.brief(pk)["recorded"])
    began = time.monotonic()
    os.kill(_worker(), signal.SIGKILL)
    _until(lambda: queries.brief(pk)["attempt"] == 2 and queries.brief(pk)["state"] == "running")  # noqa: PLR2004
    took = time.monotonic() - began
    until_final(pk)
    return took


def _answered() -> float:
    """Seconds from the answer of a question to the author's code being active again."""
    pk = launch(Task.objects.get(slug="release-assistant"))
    _until(lambda: queries.brief(pk)["state"] == "waiting")
    question = queries.open_questions().get(execution=pk)
    began = time.monotonic()
    transitions.answer(question.pk, value=question.options[0]["value"], now=timezone.now(), actor="bench")
    _until(lambda: queries.brief(pk)["attempt"] == 2 and queries.brief(pk)["state"] != "preparing")  # noqa: PLR2004
    took = time.monotonic() - began
    until_final(pk)
    return took


def _cancelled(source: str) -> float:
    """Seconds from a cancel to a sandbox that was seen to end."""
    task = make_task(f"bench-cancel-{time.monotonic_ns()}", kind="script", runtime="python", source=source)
    pk = launch(task)
    _until(lambda: queries.brief(pk)["state"] == "running")
    time.sleep(1.0)
    began = time.monotonic()
    transitions.cancel(pk, now=timezone.now(), actor="bench")
    _until(lambda: queries.brief(pk)["state"] == "cancelled")
    return time.monotonic() - began


def _worker() -> int:
    status = json.loads((Path(settings.HOME) / "status.json").read_text())
    return next(int(process["pid"]) for process in status["processes"] if process["name"] == "worker")


def make_task(slug: str, **document: Any) -> Task:
    return manifest.define({"slug": slug, **document}, now=timezone.now(), by="bench").task


def launch(task: Task, **input: Any) -> UUID:
    return transitions.submit(task, input=input, now=timezone.now(), actor="bench").execution.pk


def until_final(pk: UUID) -> dict[str, Any]:
    _until(lambda: queries.brief(pk)["finished_at"] is not None, every=0.01)
    done = queries.brief(pk)
    if done["state"] != "completed":
        raise RuntimeError(f"an execution of the bench ended as {done['state']}: {done['error']}")
    return done


def _until(true: Callable[[], object], *, every: float = 0.005) -> None:
    limit = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > limit:
            raise TimeoutError(f"the house did not answer within {PATIENCE:g} s")
        time.sleep(every)
