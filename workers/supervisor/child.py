"""One process of the house: started again whenever it ends, until it is told to stop."""

import asyncio
import contextlib
import ctypes
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

FIRST_DELAY = 0.1
LAST_DELAY = 2.0
HEALTHY_AFTER = 10.0  # seconds alive, after which a death starts the delays anew
LONGEST_LINE = 8192
CLEAN = {0, -signal.SIGTERM, 128 + signal.SIGTERM}

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

Say = Callable[[str, str], None]


def die_with(parent: int) -> None:
    """In the new process, before its program: the kernel kills it when the supervisor ends, in any way."""
    if LIBC is not None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


@dataclass(frozen=True, slots=True)
class Program:
    """What a child runs."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    fd: int | None = None  # a listening socket to hand down
    pulse: float | None = None  # seconds without a sign of life after which it is killed; None: it gives none
    kill_after: float = math.inf  # at most this long between SIGTERM and SIGKILL
    mute: tuple[str, ...] = ()  # lines that hold one of these are not shown


class Child:
    """Keeps one program running, and calls `changed` whenever its state, process or count of restarts changes."""

    def __init__(self, program: Program, *, say: Say, changed: Callable[[], None]) -> None:
        self.program = program
        self.state = "starting"
        self.restarts = 0
        self.process: asyncio.subprocess.Process | None = None
        self._say = say
        self._changed = changed
        self._stopping = asyncio.Event()
        self.signed_at = 0.0

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process else None

    def row(self) -> dict[str, str | int | None]:
        return {"name": self.program.name, "pid": self.pid, "state": self.state, "restarts": self.restarts}

    async def keep(self) -> None:
        """Run it, and again after each end, with a delay that grows while it does not stay alive."""
        delay = FIRST_DELAY
        while not self._stopping.is_set():
            started = time.monotonic()
            end = await self._one_life()
            if self._stopping.is_set():
                break
            delay = FIRST_DELAY if time.monotonic() - started >= HEALTHY_AFTER else delay
            self.restarts += 1
            self._enter("restarting")
            self._say("supervisor", f"{self.program.name} {end}; it starts again in {delay:.1f} s")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay)
            delay = min(delay * 2, LAST_DELAY)
        self._enter("stopped")

    async def stop(self, *, patience: float) -> None:
        """SIGTERM; after so many seconds, or its own fewer, SIGKILL to its whole group."""
        self._stopping.set()
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                self.process.terminate()
        await self._ends_within(min(patience, self.program.kill_after))
        self.kill()
        await self._ends_within(1.0)

    def kill(self) -> None:
        """End the process and all of its group, now."""
        if self.process:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)

    async def _one_life(self) -> str:
        try:
            return ended(await self.live())
        except OSError as error:  # no memory for a process, no file descriptor: it may pass
            return f"could not be started ({error})"

    async def live(self) -> int:
        """Run it once, to its end: its exit code, or the negative number of the signal that ended it."""
        self.signed_at = time.monotonic()
        self.process = await self._spawn()
        self._enter("running")
        watch = asyncio.create_task(self._watch_pulse())
        try:
            if self._stopping.is_set():
                self.kill()
            return await self.process.wait()
        finally:
            watch.cancel()
            self.kill()  # whatever of its group outlived it
            self.process = None

    async def _spawn(self) -> asyncio.subprocess.Process:
        """Pipes of our own, not asyncio's: its end is then seen even while something it started holds one open."""
        parent = os.getpid()
        output = inlet(Lines(self._show))
        pulse = inlet(self._feel)
        handed = [pulse] if self.program.fd is None else [pulse, self.program.fd]
        try:
            return await asyncio.create_subprocess_exec(
                *self.program.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**self.program.environment, "RUNBOARD_PULSE_FD": str(pulse)},
                pass_fds=handed,
                start_new_session=True,
                preexec_fn=lambda: die_with(parent),  # it takes no lock, so our threads do not matter
            )
        finally:
            os.close(output)
            os.close(pulse)

    def _show(self, line: str) -> None:
        if line.strip() and not any(muted in line for muted in self.program.mute):
            self._say(self.program.name, line)

    def _feel(self, _: bytes) -> None:
        self.signed_at = time.monotonic()

    async def _watch_pulse(self) -> None:
        patience = self.program.pulse
        while patience is not None:
            await asyncio.sleep(patience / 6)
            if time.monotonic() - self.signed_at > patience:
                self._say("supervisor", f"{self.program.name} gave no sign for {patience:.0f} s; it is killed")
                self.kill()
                return

    async def _ends_within(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while self.process and time.monotonic() < end:
            await asyncio.sleep(0.01)

    def _enter(self, state: str) -> None:
        self.state = state
        self._changed()


class Lines:
    """Bytes in, whole lines out. A line without an end is cut, so that it cannot fill our memory."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._rest = b""

    def __call__(self, chunk: bytes) -> None:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > LONGEST_LINE or (not chunk and self._rest):
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            self._say(line.decode(errors="replace"))


def inlet(heard: Callable[[bytes], None]) -> int:
    """The writing end of a pipe. What arrives at ours is heard, and at its end b""."""
    reading, writing = os.pipe()
    loop = asyncio.get_running_loop()

    def read() -> None:
        chunk = os.read(reading, 65536)
        heard(chunk)
        if not chunk:
            loop.remove_reader(reading)
            os.close(reading)

    loop.add_reader(reading, read)
    return writing


def ended(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return "ended" if code in CLEAN else f"ended with exit code {code}"
