"""What is wrong with the ground a worker stands on: looked at once, when it starts, and said loudly.

None of it stops the house, because the row is the truth; but each of it costs promptness, or will hurt one day.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.utils import timezone

from executions import queries

MOST_DRIFT = 1.0  # seconds between this machine's clock and the database's
LEAST_SHARED = 16 * 1024**2
SHARED = Path("/dev/shm")  # noqa: S108 — where the kernel keeps shared memory, not a file of ours


def problems() -> Iterator[str]:
    """Each as a sentence that says what to do."""
    yield from _redis()
    yield from _clock()
    yield from _shared_memory()


def _redis() -> Iterator[str]:
    from redis import Redis, RedisError

    with Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=1) as client:
        try:
            policy = client.config_get("maxmemory-policy").get("maxmemory-policy", "noeviction")
        except RedisError:
            return  # away, or it does not say: wake-ups that it loses are rung again
    if policy != "noeviction":
        yield (
            f"Redis throws keys away when it is full (maxmemory-policy {policy}): wake-ups vanish silently. "
            "Set `maxmemory-policy noeviction`, and give caches a Redis of their own."
        )


def _clock() -> Iterator[str]:
    if connection.vendor != "postgresql":
        return
    before, now, after = timezone.now(), queries.present(), timezone.now()
    drift = max((before - now).total_seconds(), (now - after).total_seconds(), 0.0)
    if drift > MOST_DRIFT:
        yield (
            f"The clock of this machine and the database's differ by {drift:.1f} s. Leases go by the database's; "
            "times that people read will not fit together. Run an NTP service on both."
        )


def _shared_memory() -> Iterator[str]:
    if not SHARED.is_dir():
        yield "There is no /dev/shm here: Python code that uses multiprocessing will fail. Mount a tmpfs on it."
        return
    free = shutil.disk_usage(SHARED).free
    if free < LEAST_SHARED:
        yield (
            f"{SHARED} has {free // 1024**2} MiB left: Python code that uses multiprocessing may fail. "
            "In a container, start it with --shm-size=256m."
        )
