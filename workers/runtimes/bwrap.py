"""The container driver: one attempt in namespaces of its own, made by bubblewrap without root, daemon or image.

Inside there is a read-only /usr, an empty /work of limited size, the author's source, input and records as read-only files,
an empty network, no environment but what is set here, and nobody else's processes. Whatever the code starts dies with it:
the code's own process is the namespace's first, and the kernel ends a namespace with its first process.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import signal
import socket
import threading
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache

from tasks.policy import Limits
from tasks.sdk.canonical import encode
from tasks.sdk.protocol import Start
from workers.runtimes import processes, seccomp
from workers.runtimes.base import EnvironmentFailed, EnvironmentUnavailable, Order, Runtime, Sandbox, memo_body
from workers.runtimes.bundle import INSIDE, Interpreter, interpreter
from workers.runtimes.conversation import Conversation, Ends
from workers.runtimes.handover import Handover
from workers.runtimes.spawn import spawn

MEND = "apt install bubblewrap"
NOBODY = 65534
MARKS = "/run/sandbox"  # an empty file here names the sandbox: the code inside cannot unmount it
SOURCES = {"python": "/task/main.py", "shell": "/task/main.sh"}
MOST_INODES = 20_000
PLACES = ("work", "dev/shm")  # where files can be made
SHM = 8 * 1024 * 1024
SHARED, TEMPORARY = "/dev/shm", "/tmp"  # noqa: S108  (inside)
NICE = 5
SYSTEM = ("ld.so.cache", "alternatives", "localtime", "ssl/certs", "mime.types")
# Hello first: what the house does about it goes on while the SDK loads (10 ms).
BOOT = f"""
import posix, sys
posix.write(0, b'{{"t":"hello","v":1,"runtime":"%s"}}\\n' % sys.argv[1].encode())
sys.path.insert(0, {INSIDE!r})
from runboard.__main__ import run
run(sys.argv[1])
"""
COMMAND = """#!{python} -IS
import sys; sys.path.insert(0, {inside!r})
from runboard.command import main; main()
"""


class BwrapRuntime(Runtime):
    """Makes sandboxes with bwrap. `owner` marks them, so that a worker's next life finds what its last one left."""

    name = "bwrap"

    def __init__(self, *, owner: str = "") -> None:
        self.mark = mark_of(owner)
        self._uids = Uids()

    def prepare(self, order: Order) -> Sandbox:
        bwrap = shutil.which("bwrap")
        if bwrap is None:
            raise EnvironmentUnavailable(f"bubblewrap is not installed, so nothing can be sandboxed here: {MEND}")
        if order.runtime not in SOURCES:
            raise EnvironmentUnavailable(f"there is no sandbox for the runtime “{order.runtime or order.kind}” yet")
        uid = self._uids.take()
        try:
            return _launch(
                bwrap, order, id=f"{self.mark}-{uuid.uuid4().hex[:12]}", uid=uid, freed=lambda: self._uids.give(uid)
            )
        except BaseException as error:
            self._uids.give(uid)
            if isinstance(error, OSError):
                raise EnvironmentFailed(f"bwrap could not be started: {error}") from error
            raise


class BwrapSandbox(Conversation):
    """One attempt behind bwrap: `process` is bwrap's monitor outside, `init` the code's process inside."""

    method, driver = "container", "bwrap"

    def __init__(self, ends: Ends, order: Order, *, id: str, status: int, freed: Callable[[], None]) -> None:
        self._status, self._freed = status, freed
        self._status_text = b""
        self._init: int | None = None
        self._init_fd: int | None = None
        self._places: list[int] = []
        os.set_blocking(status, False)
        super().__init__(ends, id=id, start=_start(order), limits=order.limits, prepare_within=order.prepare_within)

    def _root(self) -> int | None:
        """The first process inside, told by bwrap on its status pipe, which is kept open to the end (or it dies of it)."""
        if self._init is None:
            self._read_status()
        return self._init

    def _kill(self) -> None:
        """The first process inside takes its whole namespace with it. Before it exists, the monitor takes it along."""
        if self._root() is None or self._init_fd is None:
            self._ends.process.kill()
            return
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._init_fd, signal.SIGKILL)

    def _greeted(self) -> None:
        """Before hello, /proc/PID/root would still be the host's."""
        root = self._root()
        if root is None:
            return
        for place in PLACES:
            try:
                self._places.append(os.open(f"/proc/{root}/root/{place}", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW))
            except OSError:
                continue
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, root, NICE)

    @property
    def counts_files(self) -> bool:
        """Whether the number of files is kept in bounds: it takes the right to look into /proc/PID/root."""
        return len(self._places) == len(PLACES)

    def _overused(self) -> str:
        root = self._root()
        if root is None:
            return ""
        if any(_inodes(place) > MOST_INODES for place in self._places):
            return "inodes"
        most = self.limits.memory
        if (
            processes.resident(root) > most
            and processes.proportional(root) > most
            and self._ends.process.poll() is None
        ):
            return "memory"
        return ""

    def _release(self) -> None:
        for fd in (*self._places, self._status, *([self._init_fd] if self._init_fd is not None else [])):
            os.close(fd)
        self._freed()

    def _read_status(self) -> None:
        try:
            self._status_text += os.read(self._status, 65_536)
        except BlockingIOError:
            return
        for line in self._status_text.splitlines():
            if b"child-pid" in line and self._init is None:
                self._adopt(int(json.loads(line)["child-pid"]))

    def _adopt(self, pid: int) -> None:
        try:
            self._init_fd = os.pidfd_open(pid)
            self._init = pid
        except ProcessLookupError:
            pass


class Uids:
    """A uid for each living sandbox of this process where it runs as root, so that two attempts are two users."""

    def __init__(self) -> None:
        self._taken: set[int] = set()
        self._lock = threading.Lock()

    def take(self) -> int | None:
        """An unused uid, or None where we are not root and sandboxes are the worker's own user."""
        if os.geteuid() != 0:
            return None
        with self._lock:
            number = next(number for number in range(256) if self._first() + number not in self._taken)
            self._taken.add(self._first() + number)
            return self._first() + number

    def give(self, uid: int | None) -> None:
        with self._lock:
            self._taken.discard(uid or 0)

    def _first(self) -> int:
        """Uids that nobody on this machine has: far up, apart for each process; or the top of a small user namespace."""
        mapped = sum(int(line.split()[2]) for line in processes.read("/proc/self/uid_map").splitlines())
        return 1_000_000_000 + os.getpid() * 256 if mapped > 2**31 else max(1, min(mapped, NOBODY) - 256)


def mark_of(owner: str) -> str:
    """The short name by which a worker's sandboxes are told from others' on the same machine."""
    return hashlib.sha256(owner.encode()).hexdigest()[:12]


def _launch(bwrap: str, order: Order, *, id: str, uid: int | None, freed: Callable[[], None]) -> Sandbox:
    python = interpreter()
    with Handover() as handover:
        (channel, its_channel), (stdout, its_stdout) = handover.channel(), handover.pipe()
        (stderr, its_stderr), (status, its_status) = handover.pipe(), handover.pipe()
        options = [*_options(order, python=python), *_files(order, id=id, python=python, handover=handover)]
        options += [
            "--json-status-fd",
            str(its_status),
            "--remount-ro",
            "/",
            "--seccomp",
            str(handover.file(_filter())),
        ]
        arguments = handover.file(_told(options))
        process = spawn(
            [
                *_as(uid),
                bwrap,
                "--args",
                str(arguments),
                "--",
                *_limited(order.limits),
                *_command(order, python=python),
            ],
            stdin=its_channel,
            stdout=its_stdout,
            stderr=its_stderr,
            inherit=handover.given,
            environment={},
        )
    ends = Ends(process, socket.socket(fileno=channel), stdout, stderr)
    return BwrapSandbox(ends, order, id=id, status=status, freed=freed)


def _start(order: Order) -> Start:
    return Start(
        run=order.execution,
        attempt=order.attempt,
        task=order.task,
        workflow=order.workflow,
        runtime=order.runtime,
        source=SOURCES[order.runtime],
        input="/task/input.json",
        memo="/task/memo.json" if order.memo else "",
    )


def _as(uid: int | None) -> list[str]:
    """As root, bwrap would map us to ourselves: become somebody else first."""
    return (
        [] if uid is None else ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--no-new-privs", "--"]
    )


def _options(order: Order, *, python: Interpreter) -> list[str]:
    """What the sandbox is made of. Every mount is read-only or of a given size: bwrap's own root and /dev are neither."""
    size = str(order.limits.disk)
    return [
        *("--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session", "--as-pid-1"),
        *("--uid", str(NOBODY), "--gid", str(NOBODY), "--hostname", "sandbox", "--clearenv"),
        *(word for name, value in _environment(order).items() for word in ("--setenv", name, value)),
        *("--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink", "usr/sbin", "/sbin"),
        *("--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"),
        *(word for name in SYSTEM for word in ("--ro-bind-try", f"/etc/{name}", f"/etc/{name}")),
        *(("--ro-bind", python.prefix, python.prefix) if python.prefix else ()),
        *("--proc", "/proc", "--dev", "/dev", "--size", str(SHM), "--tmpfs", SHARED, "--remount-ro", "/dev"),
        *(
            "--size",
            size,
            "--perms",
            "0700",
            "--tmpfs",
            "/work",
            "--dir",
            "/work/tmp",
            "--symlink",
            "work/tmp",
            TEMPORARY,
        ),
        *("--chdir", "/work"),
    ]


def _told(options: Sequence[str]) -> bytes:
    """The options as bwrap reads them from a file. A NUL within one would let an author write options of their own."""
    if any("\0" in option for option in options):
        raise EnvironmentFailed("an environment variable holds a NUL character")
    return b"".join(option.encode() + b"\0" for option in options)


def _environment(order: Order) -> dict[str, str]:
    """The author's variables, under ours: an attempt cannot say that it is another."""
    ours = {
        "PATH": "/run/runboard/bin:/usr/local/bin:/usr/bin:/bin",
        "HOME": "/work",
        "TMPDIR": "/work/tmp",
        "LANG": "C.UTF-8",
        "TASK_ID": order.task,
        "EXECUTION_ID": order.execution,
        "WORKFLOW_ID": order.workflow,
    }
    return dict(order.environment_variables) | ours


def _files(order: Order, *, id: str, python: Interpreter, handover: Handover) -> list[str]:
    """The options that put our files inside, each handed over in memory and read-only there."""
    command = COMMAND.format(python=python.path, inside=INSIDE).encode()
    inside = {
        INSIDE: python.sdk,
        "/etc/passwd": f"nobody:x:{NOBODY}:{NOBODY}:nobody:/work:/bin/sh\n".encode(),
        f"{MARKS}/{id}": b"",
        SOURCES[order.runtime]: order.source.encode(),
        "/task/input.json": encode(order.input),
        **({"/task/memo.json": memo_body(order)} if order.memo else {}),
        **({"/run/runboard/bin/runboard": command} if order.runtime == "shell" else {}),
    }
    return [
        word
        for path, body in inside.items()
        for word in ("--perms", "0555", "--ro-bind-data", str(handover.file(body)), path)
    ]


def _limited(limits: Limits) -> list[str]:
    """Limits of each process, set inside: the number of processes is counted for each user namespace."""
    seconds = math.ceil(limits.timeout_seconds * max(1.0, limits.cpu)) + 1
    return [
        "/usr/bin/prlimit",
        f"--nproc={limits.pids}:{limits.pids}",
        f"--data={limits.memory}:{limits.memory}",
        f"--fsize={limits.disk}:{limits.disk}",
        f"--cpu={seconds}:{seconds + 1}",
        *("--nofile=256:256", "--core=0:0", "--stack=2097152:2097152", "--memlock=65536:65536"),
        *("--msgqueue=0:0", "--sigpending=256:256", "--"),
    ]


@cache
def _filter() -> bytes:
    try:
        return seccomp.program()
    except KeyError as machine:
        raise EnvironmentUnavailable(
            f"sandboxes need a list of system calls, and there is none for {machine}"
        ) from None


def _command(order: Order, *, python: Interpreter) -> list[str]:
    return [python.path, "-I", "-S", "-X", "utf8", "-c", BOOT, order.runtime]


def _inodes(place: int) -> int:
    room = os.fstatvfs(place)
    return room.f_files - room.f_ffree
