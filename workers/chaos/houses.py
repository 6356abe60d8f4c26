"""A scratch house that may be broken: on SQLite or a PostgreSQL of its own, with more workers and schedulers than `up` starts,
each brought back when it ends, and hands to hurt every one of its processes."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workers.bench.scratch import ROOT, Cluster, House, cluster, end, spawn, start_house, until
from workers.runtimes import processes

LEASE = 4.0  # seconds
SWEEP = 0.5
GRACE = 1.0  # what the reap gives beyond the lease: a quarter of it
RECOVERED = LEASE + 7  # seconds from a kill to the next claim
BACK_AFTER = 0.3
READY = 90.0  # seconds in which it must stand, on a machine that does much else
MARK = "made-to-be-broken"  # config/env.py lets no other home have a FAILPOINT
DATABASES = ("sqlite", "postgresql")


@dataclass
class Broken:
    """A house and what may be done to it."""

    house: House
    database: str
    cluster: Cluster | None
    kept: list[Kept] = field(default_factory=list)

    @property
    def home(self) -> Path:
        return self.house.home

    def keep(self, name: str, *command: str, **environment: str) -> Kept:
        """A process of the house beside those of its supervisor, started again whenever it ends."""
        kept = Kept(name, command, {**self.house.environment, **environment}, log=self._log(name))
        self.kept.append(kept)
        kept.begin()
        return kept

    def let_go(self) -> None:
        for kept in self.kept:
            kept.end()

    def once(self, name: str, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        """A process of the house that nobody brings back."""
        return run(command, {**self.house.environment, **environment}, log=self._log(name))

    def pids(self, kind: str) -> list[int]:
        """The living processes called worker, scheduler, web or redis (with or without a number)."""
        status = json.loads((self.home / "status.json").read_text())["processes"]
        ours = [(row["name"], row["pid"]) for row in status] + [(kept.name, kept.pid) for kept in self.kept]
        return [pid for name, pid in ours if pid and name.partition("-")[0] == kind]

    def sandboxes(self) -> list[int]:
        """The processes under workers: helpers and sandboxes with all that is in them."""
        return [pid for worker in self.pids("worker") for pid in processes.tree(worker)[1:]]

    def strangers(self) -> list[int]:
        """Processes of this house that nobody of it looks after: orphans."""
        ours = {pid for root in (self.house.process.pid, *(kept.pid for kept in self.kept)) if root
                for pid in processes.tree(root)}  # fmt: skip
        return [pid for pid in self.house.processes() if pid not in ours and processes.read(f"/proc/{pid}/cmdline")]

    def redis(self, *command: str) -> None:
        """A command to its Redis; nothing where it does not answer."""
        import redis

        path = self.home / "run" / "redis.sock"
        with (
            contextlib.suppress(redis.RedisError, OSError),
            redis.Redis(unix_socket_path=str(path), socket_timeout=1, socket_connect_timeout=1) as client,
        ):
            client.execute_command(*command)

    def reads(self, path: Path) -> list[str]:
        try:
            return path.read_text().splitlines()
        except OSError:
            return []

    def evidence(self) -> dict[str, list[str]]:
        """By execution: the lines that its code left outside the database."""
        return {path.name: self.reads(path) for path in (self.home / "evidence").iterdir()}

    def ask_inside(self, what: str, argument: Any) -> Any:
        """What `proof` answers, in a process of this house."""
        place = self.home / f"{what}.asked"
        place.write_text(json.dumps(argument))
        return json.loads(self.house.manage("chaos", "--inside", what, "--argument", str(place)).splitlines()[-1])

    def _log(self, name: str) -> Path:
        return self.home.parent / f"{name}.log"


class Kept:
    """One process that comes back, from a thread of its own: the kernel ends a child with the thread that started it."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], *, log: Path) -> None:
        self.name, self.restarts = name, -1
        self._command, self._environment, self._log = command, dict(environment), log
        self._process: subprocess.Popen[bytes] | None = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"keep-{name}")

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def begin(self) -> None:
        self._thread.start()
        until(lambda: self.pid, what=f"{self.name} did not start")

    def end(self) -> None:
        self._ending.set()
        if self._process is not None:
            end(self._process, by=signal.SIGKILL)
        self._thread.join()

    def _keep(self) -> None:
        while not self._ending.is_set():
            self.restarts += 1
            self._process = run(self._command, self._environment, log=self._log)
            self._process.wait()
            self._ending.wait(BACK_AFTER)


def run(command: Sequence[str], environment: Mapping[str, str], *, log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as into:
        return spawn([sys.executable, ROOT / "manage.py", *command], env=environment, stdout=into, cwd=ROOT)


@contextlib.contextmanager
def broken(database: str, *, more: bool = True, **settings: str) -> Iterator[Broken]:
    """A house that stands, with tasks to run; `more`: a second worker and a second scheduler beside its own."""
    with contextlib.ExitStack() as stack:
        own = stack.enter_context(cluster(keeps=True)) if database == "postgresql" else None
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="runboard-chaos-"))) / "home"
        (home / "evidence").mkdir(parents=True)
        (home / MARK).touch()
        environment = {
            "DATABASE_URL": own.url if own else f"sqlite:///{home}/db.sqlite3",
            "RUNBOARD_ACTIONS": "workers.chaos.actions",
            "RUNBOARD_LEASE_SECONDS": str(LEASE),
            "RUNBOARD_SWEEP_SECONDS": str(SWEEP),
            "PYTHONDONTWRITEBYTECODE": "",  # its processes start many times, and would compile everything each time
        }
        house = start_house(home, **{**environment, **settings})
        stack.callback(house.stop)
        house.wait_ready(within=READY)
        standing = Broken(house, database, own)
        stack.callback(standing.let_go)
        standing.ask_inside("tasks", None)
        if more:
            standing.keep("worker-2", "worker", "--name", "worker-2", "--slots", "2")
            standing.keep("scheduler-2", "scheduler")
        yield standing
