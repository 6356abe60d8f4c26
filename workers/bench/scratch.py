"""Real things to try the house with: a PostgreSQL of one's own, and a whole house that the supervisor runs in a scratch home.

For the bench, the drill and the tests. Nothing of it outlives the process that started it.
"""

import contextlib
import hashlib
import http.client
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import psycopg

from workers.supervisor.child import die_with

ROOT = Path(__file__).resolve().parents[2]
T = TypeVar("T")
SCOPES = "read,submit,answer,cancel,define,admin"
READY = re.compile(r"READY (\S+)\s+user (\S+)\s+password (\S+)")
OURS = ("RUNBOARD_", "DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE", "SECRET_KEY", "HOST", "PORT", "DEBUG")


class Missing(Exception):
    """A tool that is needed is not installed; the message says how to get it."""


def spawn(
    command: Sequence[str | Path], *, env: Mapping[str, str] | None = None, user: str | None = None, **options: Any
) -> subprocess.Popen[bytes]:
    """A process in a group of its own that the kernel ends with ours, even when ours is killed."""
    fixed: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.STDOUT}
    fixed.update(env=env, start_new_session=True, preexec_fn=partial(die_with, os.getpid()))
    if user:
        fixed.update(user=user, group=pwd.getpwnam(user).pw_gid, extra_groups=[])
    return subprocess.Popen(command, **{**fixed, **options})


def end(process: subprocess.Popen[bytes], *, by: signal.Signals = signal.SIGTERM, within: float = 10) -> int:
    """Ask it to stop, wait, and then kill its whole group."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(by)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(within)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait()


def until(
    asked: Callable[[], T | None], *, within: float = 30, what: str = "it did not happen", every: float = 0.05
) -> T:
    """The first true answer. Waiting for another process is asking it again; the time is a bound, never a measure."""
    limit = time.monotonic() + within
    while not (answer := asked()):
        if time.monotonic() > limit:
            raise AssertionError(f"after {within:g} s: {what}")
        time.sleep(every)
    return answer


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# PostgreSQL


@contextlib.contextmanager
def postgresql(*, durable: bool = False) -> Iterator[str]:
    """A cluster of its own on a loopback port; the URL of an empty database in it. `durable`: with PostgreSQL's own defaults,
    so that a figure is what a user would get."""
    with cluster(durable=durable) as own:
        yield own.url


@contextlib.contextmanager
def cluster(*, keeps: bool = False, durable: bool = False) -> Iterator["Cluster"]:
    """The same, with hands to stop and start it. `keeps`: what it has committed survives its own end (not a power cut)."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if not programs:
        raise Missing("PostgreSQL is missing: apt-get install postgresql")
    owner = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
    with tempfile.TemporaryDirectory(prefix="runboard-pg-") as folder:
        if owner:
            shutil.chown(folder, owner)
        own = Cluster(
            programs=programs[-1], folder=Path(folder), owner=owner, port=free_port(), keeps=keeps, durable=durable
        )
        run_to_end(
            [
                own.programs / "initdb",
                "-D",
                own.data,
                "-A",
                "trust",
                "-U",
                "postgres",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
            ],
            owner,
        )
        own.start()
        try:
            own.run_sql("CREATE DATABASE runboard", database="postgres")
            yield own
        finally:
            own.stop()


@dataclass
class Cluster:
    """A PostgreSQL server that is thrown away afterwards."""

    programs: Path
    folder: Path
    owner: str | None
    port: int
    keeps: bool
    durable: bool

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def url(self) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/runboard"

    def start(self, *, listen: str = "127.0.0.1") -> None:
        """Start the server in this thread, with whose end it dies, and wait until it answers."""
        settings = {
            "port": self.port,
            "listen_addresses": listen,
            "unix_socket_directories": self.folder,
            "max_connections": 200,
        }
        if not self.durable:
            commits = "on" if self.keeps else "off"
            settings |= {"fsync": "off", "synchronous_commit": commits, "full_page_writes": "off"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command: list[str | Path] = [self.programs / "postgres", "-D", self.data, *options]
        self.server = spawn(command, user=self.owner, cwd=self.folder)
        until(self._answers, what="PostgreSQL does not answer")

    def stop(self, *, by: signal.Signals = signal.SIGINT) -> None:
        """SIGINT: fast; SIGQUIT: immediate, as if it had crashed."""
        end(self.server, by=by)

    def run_sql(self, statement: str, *, database: str = "runboard") -> None:
        with psycopg.connect(self.url.replace("/runboard", f"/{database}"), autocommit=True) as connection:
            connection.execute(statement.encode())

    def _answers(self) -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            self.run_sql("SELECT 1", database="postgres")
            return True
        return False


def run_to_end(command: Sequence[str | Path], user: str | None) -> None:
    process = spawn(command, user=user, stdout=subprocess.PIPE, cwd="/")
    said, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{command[0]} failed: {said.decode(errors='replace')[-500:]}")


# A whole house


@dataclass
class House:
    """One that the supervisor runs: what a person sees of it, and hands to hurt it with."""

    home: Path
    process: subprocess.Popen[bytes]
    environment: dict[str, str]
    url: str = ""
    user: str = ""
    password: str = ""
    began: float = field(default_factory=time.monotonic)
    ready_after: float = 0.0  # seconds from its start to READY
    _token: str = field(default="", repr=False)

    @property
    def log(self) -> str:
        return (self.home.parent / f"{self.home.name}.log").read_text(errors="replace")

    def wait_ready(self, *, within: float = 40) -> None:
        def said() -> re.Match[str] | None:
            assert self.process.poll() is None, f"the house ended: {self.log[-2000:]}"
            return READY.search(self.log)

        self.url, self.user, self.password = until(said, within=within, what=f"no READY: {self.log[-2000:]}").groups()
        self.ready_after = time.monotonic() - self.began

    def manage(self, *arguments: str) -> str:
        command = [sys.executable, "manage.py", *arguments]
        run = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=60)
        assert run.returncode == 0, run.stderr[-2000:]
        return run.stdout.strip()

    @property
    def token(self) -> str:
        self._token = self._token or self.manage("token", "tests", "--scope", SCOPES)
        return self._token

    def api(self, method: str, path: str, value: Any = None, **headers: str) -> tuple[int, Any]:
        """What /api/v1/<path> answers: its status and its JSON."""
        fixed = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        body = None if value is None else json.dumps(value)
        return self.ask(method, f"/api/v1/{path}", body=body, headers={**fixed, **headers})

    def ask(
        self, method: str, path: str, *, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """One plain request: the status, and JSON where it is JSON, else text."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path, body=body, headers=dict(headers or {}))
            response = connection.getresponse()
            said = response.read()
        is_json = "json" in (response.getheader("Content-Type") or "")
        return response.status, json.loads(said) if is_json else said.decode(errors="replace")

    def submit(self, task: str, value: Any = None, **members: Any) -> str:
        """Submit an execution through the API; its id."""
        status, execution = self.api("POST", "executions/", {"task": task, "input": value or {}, **members})
        assert status == HTTPStatus.CREATED, execution
        return str(execution["id"])

    def execution(self, pk: str) -> dict[str, Any]:
        status, execution = self.api("GET", f"executions/{pk}/")
        assert status == HTTPStatus.OK, execution
        return dict(execution)

    def rows(self, path: str) -> list[dict[str, Any]]:
        """Every row of a list of the API, page by page."""
        status, page = self.api("GET", path)
        assert status == HTTPStatus.OK, page
        following = page["next"].partition("/api/v1/")[2] if page["next"] else ""
        return [*page["results"], *(self.rows(following) if following else [])]

    def reaches(self, pk: str, *states: str, within: float = 30) -> dict[str, Any]:
        """The execution, once it is in one of these states."""

        def there() -> dict[str, Any] | None:
            self.last = self.execution(pk)
            return self.last if self.last["state"] in states else None

        return until(there, within=within, what=f"{pk} is not {' or '.join(states)}")

    def status(self) -> dict[str, dict[str, Any]]:
        """The house's processes by their names."""
        rows = json.loads((self.home / "status.json").read_text())["processes"]
        return {row["name"]: row for row in rows}

    def pid(self, name: str) -> int:
        return int(until(lambda: self.status()[name]["pid"], what=f"{name} is not running"))

    def kill(self, name: str, by: signal.Signals = signal.SIGKILL) -> int:
        """Kill web, worker, scheduler or redis, itself alone; the process id that it had."""
        pid = self.pid(name)
        os.kill(pid, by)
        return pid

    def is_back(self, name: str, *, since: int, within: float = 15) -> int:
        """The new process id of what was killed."""
        return until(lambda: (pid := self.pid(name)) != since and pid, within=within, what=f"{name} is not back")

    def stop(self, *, by: signal.Signals = signal.SIGINT, within: float = 15) -> int:
        return end(self.process, by=by, within=within)

    def processes(self) -> list[int]:
        """Every living process that carries this house's RUNBOARD_HOME."""
        mark = f"RUNBOARD_HOME={self.home}".encode()
        return [
            int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit() and mark in environ(folder)
        ]


def environ(process: Path) -> list[bytes]:
    try:
        return (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return []


def database_of(home: Path) -> dict[str, str]:
    """On a PostgreSQL that houses share, a database for each: in one, they would take each other's workers for theirs."""
    url = os.environ.get("DATABASE_URL", "")
    if not url.startswith("postgres"):
        return {"DATABASE_URL": url} if url else {}
    name = "house_" + hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
    with psycopg.connect(url, autocommit=True) as connection, contextlib.suppress(psycopg.errors.DuplicateDatabase):
        connection.execute(f"CREATE DATABASE {name}")
    return {"DATABASE_URL": urlsplit(url)._replace(path=f"/{name}").geturl()}


def start_house(home: Path, **settings: str) -> House:
    """`manage.py up` in this home, on a free port; not yet ready."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    environment = {**clean, **database_of(home), "PORT": str(free_port()), "RUNBOARD_HOME": str(home), **settings}
    home.mkdir(parents=True, exist_ok=True)
    with (home.parent / f"{home.name}.log").open("wb") as log:
        process = spawn([sys.executable, ROOT / "manage.py", "up"], env=environment, stdout=log, cwd=ROOT)
    return House(home=home, process=process, environment=environment)
