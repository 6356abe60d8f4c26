"""The in_process driver: registered actions in warm helper processes, one attempt at a time each.

A helper that ran an attempt to its end and left nothing behind waits for the next; any other is killed and replaced.
Measured: an attempt's first line is there about 1 ms after `prepare`.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.sdk.canonical import encode
from tasks.sdk.protocol import Frame, Hello, Start
from workers.runtimes import processes
from workers.runtimes.base import EnvironmentFailed, Order, Runtime, Sandbox, memo_body
from workers.runtimes.conversation import Conversation, Ends
from workers.runtimes.handover import Handover
from workers.runtimes.spawn import spawn

HOUSE = Path(__file__).resolve().parents[2]
FAT = 96 * 1024**2
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "RUNBOARD_HOME")


@dataclass(slots=True, eq=False)
class Helper:
    """A living helper process and our ends of it. It says hello once in its life; `stands` once that was heard."""

    ends: Ends
    stands: bool = False

    def is_alive(self) -> bool:
        return self.ends.process.poll() is None

    def kill(self) -> None:
        """Ends it and what it started."""
        processes.signal_tree(self.ends.process.pid, signal.SIGKILL)
        self.ends.process.wait()
        self.ends.channel.close()
        os.close(self.ends.stdout)
        os.close(self.ends.stderr)


class InProcessRuntime(Runtime):
    """Hands orders to helpers. `modules` hold the registered actions; `spare` helpers are kept started and waiting."""

    name = "helper"

    def __init__(self, *, modules: Sequence[str], spare: int = 1) -> None:
        self.modules, self.spare = tuple(modules), spare
        self._idle: list[Helper] = []
        self._lock = threading.Lock()
        self._warming: threading.Thread | None = None
        self._is_closed = False

    def prepare(self, order: Order) -> Sandbox:
        helper = self._take() or self._started()
        return HelperSandbox(helper, order, give_back=self._give_back)

    def warm(self) -> None:
        """Starts the spare helpers that are missing."""
        while True:
            with self._lock:
                if self._is_closed or len(self._idle) >= self.spare:
                    return
            self._give_back(self._started())

    def close(self) -> None:
        """Ends every helper that waits; those at work end with their sandboxes."""
        with self._lock:
            self._is_closed = True
            warming = self._warming
        if warming is not None:
            warming.join()
        with self._lock:
            idle, self._idle = self._idle, []
        for helper in idle:
            helper.kill()

    def _take(self) -> Helper | None:
        while True:
            with self._lock:
                if not self._idle:
                    return None
                helper = self._idle.pop()
            if helper.is_alive():
                return helper
            helper.kill()

    def _give_back(self, helper: Helper | None) -> None:
        """A helper that may serve again, or None where one was lost and a spare has to be started."""
        if helper is None:
            self._warm_soon()
            return
        with self._lock:
            if not self._is_closed and len(self._idle) < max(self.spare, 8):
                self._idle.append(helper)
                return
        helper.kill()

    def _warm_soon(self) -> None:
        with self._lock:
            if not self._is_closed:
                self._warming = threading.Thread(target=self.warm, name="warm", daemon=True)
                self._warming.start()

    def _started(self) -> Helper:
        with Handover() as handover:
            (channel, its_channel), (stdout, its_stdout) = handover.channel(), handover.pipe()
            stderr, its_stderr = handover.pipe()
            try:
                process = spawn(
                    [sys.executable, "-m", "workers.runtimes.helper", *self.modules],
                    stdin=its_channel,
                    stdout=its_stdout,
                    stderr=its_stderr,
                    environment=_environment(),
                    directory=str(HOUSE),
                )
            except OSError as error:
                raise EnvironmentFailed(f"a helper process could not be started: {error}") from error
        return Helper(Ends(process, socket.socket(fileno=channel), stdout, stderr))


class HelperSandbox(Conversation):
    """One attempt in a helper. Input and records are files in our memory, which the helper opens through /proc."""

    method, driver = "in_process", "helper"

    def __init__(self, helper: Helper, order: Order, *, give_back: Callable[[Helper | None], None]) -> None:
        self._helper, self._give_back = helper, give_back
        self._is_reusable = False
        self._files: list[int] = []
        start = Start(
            run=order.execution,
            attempt=order.attempt,
            task=order.task,
            workflow=order.workflow,
            runtime="",
            handler=order.handler,
            input=self._file(encode(order.input)),
            memo=self._file(memo_body(order)) if order.memo else "",
            variables=_variables(order),
        )
        name, within = f"helper-{uuid.uuid4().hex[:12]}", order.prepare_within
        super().__init__(helper.ends, id=name, start=start, limits=order.limits, prepare_within=within)

    def _file(self, body: bytes) -> str:
        fd = os.memfd_create("runboard")
        self._files.append(fd)
        with open(fd, "wb", closefd=False) as file:
            file.write(body)
        return f"/proc/{os.getpid()}/fd/{fd}"

    def frames(self) -> Iterator[Frame]:
        if self._helper.stands:
            yield from self._taken(Hello(runtime=""))
        yield from super().frames()

    def says_more(self, *, within: float) -> bool:
        return bool(self._selector.select(within))

    def _greeted(self) -> None:
        self._helper.stands = True

    def _at_done(self) -> Iterator[Frame]:
        """The attempt is over though its process lives on: what it printed is all there."""
        self._read_pipes(once=False)
        self._is_reusable = not self._is_killed and not self._cause and not self._violation
        self._is_over = True
        yield from ()

    def _kill(self) -> None:
        if not self._is_reusable:
            processes.signal_tree(self._ends.process.pid, signal.SIGKILL)

    def _overused(self) -> str:
        pid, most = self._ends.process.pid, self.limits.memory
        if processes.resident(pid) > most and processes.proportional(pid) > most and self._helper.is_alive():
            return "memory"
        return ""

    def _exit_code(self) -> int | None:
        """A helper lives on after an attempt, or is killed for other reasons than how that ended: its word counts."""
        return None if self._done is not None else self._ends.process.returncode

    def _wait_for_the_end(self) -> None:
        if not self._is_reusable:
            super()._wait_for_the_end()

    def _close_ends(self) -> None:
        """A helper that left nothing running and said nothing more keeps its ends for the next attempt."""
        reusable = self._is_reusable and _is_as_new(self._helper)
        with self._lock:
            self._selector.close()
            for fd in (self._woken, self._wake, self._pidfd, *self._files):
                os.close(fd)
        if not reusable:
            self._helper.kill()
        self._give_back(self._helper if reusable else None)


def _is_as_new(helper: Helper) -> bool:
    """Whether a helper left nothing running and holds on to no more memory than code needs."""
    pid = helper.ends.process.pid
    return helper.is_alive() and processes.tree(pid) == [pid] and processes.resident(pid) < FAT


def _variables(order: Order) -> dict[str, str]:
    ours = {"TASK_ID": order.task, "EXECUTION_ID": order.execution, "WORKFLOW_ID": order.workflow}
    return dict(order.environment_variables) | ours


def _environment() -> dict[str, str]:
    """What a helper gets of ours: the way to its modules, and no secret, address or password of the house."""
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return passed | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "PYTHONUTF8": "1"}
