"""The rows of the executor: how long a sandbox takes to stand, and a simple task to run in it, without engine or database."""

from __future__ import annotations

import time
from collections.abc import Iterator

from django.conf import settings

from tasks.policy import Level, Security
from tasks.sdk.protocol import Hello
from workers.bench.figure import Figure, spread
from workers.runtimes import Order, Runtimes

SAMPLES = 60


def figures() -> Iterator[Figure]:
    """One sandbox after the other."""
    runtimes = Runtimes(owner="bench", actions=settings.ACTIONS, slots=1)
    runtimes.open()
    script = Order(execution="bench", attempt=1, task="bench", source="import runboard\nrunboard.output(1)\n")
    shell = Order(execution="bench", attempt=1, task="bench", runtime="shell", source="true\n")
    action = Order(
        execution="bench", attempt=1, task="bench", kind="action", runtime="", handler="bench.stamp",
        security=Security(Level.LOW),
    )  # fmt: skip
    try:
        for name, order, limit in (
            ("preparation, sandboxed shell", shell, "p50 ≤ 10, p99 ≤ 40"),
            ("preparation, sandboxed Python", script, ""),
            ("preparation, in_process (warm)", action, "p50 ≤ 5, p99 ≤ 15"),
        ):
            yield spread(name, "–", [_run(runtimes, order)[0] for _ in range(SAMPLES)], unit="ms", limit=limit)
        whole = [_run(runtimes, script)[1] for _ in range(SAMPLES)]
        yield spread("task execution, simple", "–", whole, unit="ms", limit="p50 ≤ 40, p99 ≤ 100")
    finally:
        runtimes.close()


def _run(runtimes: Runtimes, order: Order) -> tuple[float, float]:
    """Milliseconds until the sandbox said hello, and until nothing of it was left."""
    began = time.monotonic()
    sandbox = runtimes.prepare(order)
    stood = 0.0
    for frame in sandbox.frames():
        if isinstance(frame, Hello):
            stood = time.monotonic() - began
    sandbox.close()
    return stood * 1000, (time.monotonic() - began) * 1000
