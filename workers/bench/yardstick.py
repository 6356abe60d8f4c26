"""Raw Celery on the same Redis, in the same run: what records nothing, and so what recording is measured against.

Two prefork children, no results, tasks that do nothing but leave one byte, by which their end is counted.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from celery import Celery

QUEUE = "bench.yardstick"
ENDED = os.environ.get("BENCH_YARDSTICK_FILE", "")
PATIENCE = 120.0

app = Celery("yardstick", broker=os.environ.get("BENCH_YARDSTICK_BROKER", "memory://"))
app.conf.update(task_ignore_result=True, task_default_queue=QUEUE, worker_prefetch_multiplier=4, task_serializer="json")


@app.task
def nothing() -> None:
    """Leaves one byte."""
    with open(ENDED, "ab", buffering=0) as file:  # noqa: PTH123 — as cheap as can be
        file.write(b".")


def per_second(broker: str, *, count: int, concurrency: int = 2) -> float:
    """Tasks a second, from the first that is sent to the last that has run."""
    with tempfile.NamedTemporaryFile(prefix="runboard-yardstick-") as file:
        told = {"BENCH_YARDSTICK_BROKER": broker, "BENCH_YARDSTICK_FILE": file.name}
        command = [
            sys.executable, "-m", "celery", "-A", "workers.bench.yardstick", "worker", "--pool", "prefork",
            "--concurrency", str(concurrency), "--queues", QUEUE, "--without-gossip", "--without-mingle",
            "--without-heartbeat", "--loglevel", "ERROR",
        ]  # fmt: skip
        worker = subprocess.Popen(command, env={**os.environ, **told}, stdout=subprocess.DEVNULL)
        try:
            sender = Celery("sender", broker=broker)
            ended = Path(file.name)
            _send(sender, 1)
            _until(ended, 1)
            began = time.monotonic()
            _send(sender, count)
            _until(ended, count + 1)
            return count / (time.monotonic() - began)
        finally:
            worker.terminate()
            worker.wait()


def _send(sender: Celery, count: int) -> None:
    with sender.connection_for_write() as connection:
        for _ in range(count):
            sender.send_task("workers.bench.yardstick.nothing", queue=QUEUE, connection=connection, ignore_result=True)


def _until(ended: Path, count: int) -> None:
    limit = time.monotonic() + PATIENCE
    while ended.stat().st_size < count:
        if time.monotonic() > limit:
            raise TimeoutError("the yardstick's worker did not run its tasks")
        time.sleep(0.005)
