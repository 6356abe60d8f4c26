"""The real things that tests run against: Redis, PostgreSQL, a whole house, Chromium. Nothing of it outlives the tests.

`python -m tests.services COMMAND…` runs a command with DATABASE_URL naming a PostgreSQL of its own.
"""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from workers.bench.scratch import ROOT, House, Missing, end, environ, free_port, postgresql, spawn, start_house, until
from workers.supervisor.house import redis_command

__all__ = [
    "ROOT",
    "House",
    "Missing",
    "end",
    "environ",
    "free_port",
    "missing",
    "postgresql",
    "redis_server",
    "spawn",
    "start_house",
    "until",
]

CHROMIUM = "/usr/bin/chromium"
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def missing(why: str) -> None:
    """A tool that a test needs is not there. With CI=true nothing is skipped: then that is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


# Redis


@contextlib.contextmanager
def redis_server(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A real one on a Unix socket, as the house runs it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="runboard-redis-") as data:
        process = spawn(redis_command(path, Path(data)))
        try:
            until(lambda: _redis_answers(path), what="Redis does not answer")
            yield process
        finally:
            end(process)


def _redis_answers(path: Path) -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(b"PING\r\n")
        return client.recv(16).startswith(b"+PONG")
    return False


def main() -> int:
    try:
        with postgresql() as url:
            return subprocess.run(sys.argv[1:], env={**os.environ, "DATABASE_URL": url}).returncode
    except Missing as missing:
        print(missing)
        return 1 if os.environ.get("CI") == "true" else 0


if __name__ == "__main__":
    sys.exit(main())
