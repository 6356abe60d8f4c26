"""F6: a line that has gone dead without a word. Existing connections are swallowed, new ones are served."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from workers.bench.scratch import until
from workers.chaos.finding import Finding
from workers.chaos.houses import Broken, broken
from workers.chaos.load import Load
from workers.chaos.storm import judge, settle

CONSUMES_AGAIN = 30.0  # seconds
SETTLES = 3.0  # seconds of work before a line goes dead
NAME = "far-worker"


@dataclass
class Line:
    """A TCP port of this machine that leads to `target` (host and port, or a Unix socket's path)."""

    target: tuple[str, int] | str
    host: str = "127.0.0.1"  # where it is reached
    port: int = 0
    _dead: set[socket.socket] = field(default_factory=set)
    _open: set[socket.socket] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._listening = socket.create_server((self.host, 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def swallow(self) -> int:
        """From now on nothing passes on any connection there is, and nobody is told; how many there are."""
        self._dead |= self._open
        return len(self._open) // 2

    def close(self) -> None:
        self._listening.close()
        for end in self._open:
            end.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                far = socket.socket(socket.AF_UNIX if isinstance(self.target, str) else socket.AF_INET)
                try:
                    far.connect(self.target)
                except OSError:
                    near.close()
                    continue
                self._open |= {near, far}
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if source in self._dead:
                    threading.Event().wait()
                target.sendall(data)
        if source not in self._dead:
            with contextlib.suppress(OSError):
                target.shutdown(socket.SHUT_WR)


def half_open(database: str, *, times: int) -> Iterator[Finding]:
    """F6, a row for each line of a worker: to Redis, and to PostgreSQL where that is the database."""
    with broken(database, more=False) as house:
        lines = {"Redis": Line(str(house.home / "run" / "redis.sock"))}
        environment = {"REDIS_URL": f"redis://127.0.0.1:{lines['Redis'].port}/0"}
        if house.cluster is not None:
            lines["PostgreSQL"] = Line(("127.0.0.1", house.cluster.port))
            url = urlsplit(house.cluster.url)
            environment["DATABASE_URL"] = url._replace(netloc=f"postgres@127.0.0.1:{lines['PostgreSQL'].port}").geturl()
        house.keep(NAME, "worker", "--name", NAME, "--slots", "2", **environment)
        for name, line in lines.items():
            yield _measured(house, name, line, times)
        for line in lines.values():
            line.close()


def _measured(house: Broken, name: str, line: Line, times: int) -> Finding:
    began, took, swallowed = time.monotonic(), [], 0
    load = Load(house.house, seed=times, mix={"chaos-steps": (1, {"steps": 5, "seconds": 0.1})}, at_once=16)
    load.begin()
    for _ in range(times):
        since = time.time()
        until(lambda since=since: _claimed(house, load, since), every=0.5, what="the far worker took nothing")  # type: ignore[misc]
        time.sleep(SETTLES)
        swallowed += line.swallow()
        dead = time.time()
        until(lambda dead=dead: _claimed(house, load, dead + 0.5), within=90, every=0.5, what="it never came back")  # type: ignore[misc]
        took.append(_claimed(house, load, dead + 0.5) - dead)
    load.submit_no_more()
    rest = settle(house, load)
    load.end()
    found = judge(house, load)
    found.broke += [f"stuck: {pk} is {state}" for pk, state in rest.items()]
    if max(took) > CONSUMES_AGAIN or not swallowed:
        found.add("F6", f"consuming again after {max(took):.1f} s, {swallowed} connections swallowed")
    told = f"consuming again after at most {max(took):.1f} s, {swallowed} connections swallowed"
    return Finding(f"F6 {name}", house.database, found.n, times, f"≤ {CONSUMES_AGAIN:g} s, no duplicate writes", told,
                   round(time.monotonic() - began, 1), broke=found.broke)  # fmt: skip


def _claimed(house: Broken, load: Load, since: float) -> float:
    """When the far worker first claimed after a moment; 0 where it has not."""
    attempts = house.ask_inside("attempts", list(load.accepted))
    return min(
        (one["claimed_at"] for one in attempts if one["worker"] == NAME and one["claimed_at"] > since), default=0.0
    )
