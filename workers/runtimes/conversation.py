"""The house's end of the line to one sandbox: reads its frames and pipes, answers, and ends it.

What comes in is hostile: a broken frame, a first frame that is not hello, or more frames than the budget end the sandbox
and are named in its `Exit`. Writing never blocks on it, and nothing it does keeps `close` from returning.
One loop in the slot's thread reads; `ack`, `stop`, `end`, `freeze` and `thaw` may come from any thread; clocks and limits are
kept by the watch, so they hold while the slot's thread is busy with the database.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import threading
import time
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from tasks.policy import Limits
from tasks.sdk.protocol import (
    LONGEST_FRAME,
    Ack,
    Cancel,
    Done,
    Error,
    Frame,
    Hello,
    Log,
    Output,
    Progress,
    Start,
    Unfit,
)
from tasks.sdk.protocol import read as read_frame
from tasks.sdk.protocol import write as write_frame
from workers.runtimes import processes
from workers.runtimes.base import Exit, Lines, Sandbox
from workers.runtimes.transcript import Splitter, Transcript
from workers.runtimes.watch import watch

PIECE = 256 * 1024
MOST_FRAMES = 100_000
PROGRESS_PERIOD = 0.25
HELLO_WITHIN = 30.0  # seconds for the environment to stand, where its task does not say (timeouts.prepare)
LAST_GRACE = 2.0  # seconds between SIGTERM and SIGKILL when the clock or a limit ends a sandbox
LEVELS = {"stdout": "info", "stderr": "warning"}
SIGNALLED = range(129, 193)  # how bwrap and shells tell a signal by an exit code
DYING = 5.0  # seconds for a killed tree to be gone


@dataclass(slots=True)
class Ends:
    """The house's ends of a sandbox: its process, its channel, its two pipes."""

    process: subprocess.Popen[bytes]
    channel: socket.socket
    stdout: int
    stderr: int


class Conversation(Sandbox):
    """One attempt's line, whatever is at the other end of it. Drivers say how its tree is found and what it may use."""

    def __init__(
        self, ends: Ends, *, id: str, start: Start, limits: Limits, prepare_within: float | None = None
    ) -> None:
        self.id, self.limits = id, limits
        self._ends, self._start = ends, start
        self._lock = threading.RLock()
        self._selector = selectors.DefaultSelector()
        self._incoming = bytearray()
        self._bytes_heard = 0
        self._outgoing = bytearray()
        self._splitters = {"stdout": Splitter(), "stderr": Splitter()}
        self._transcript = Transcript()
        self._progress: Progress | None = None
        self._progress_at = float("-inf")
        self._frames_left = MOST_FRAMES
        self._spoken: set[type[Frame]] = set()
        self._done: Done | None = None
        self._words: list[str] = []
        self._cause = self._violation = ""
        self._begun_at = time.monotonic()
        self._stands_within = prepare_within or HELLO_WITHIN
        self._deadline = self._begun_at + self._stands_within
        self._kill_at = self._frozen_at = float("inf")
        self._is_over = self._is_killed = False
        self._open: set[object] = set()
        self._exit: Exit | None = None
        self._register()
        watch.add(self)

    # ── what a driver says ────────────────────────────────────────────────────────────────────────────────────────────

    def _root(self) -> int | None:
        """The process whose tree is the author's code, once it is known."""
        return self._ends.process.pid

    @abstractmethod
    def _kill(self) -> None:
        """Kills the whole tree. Called with the lock held, any number of times."""

    def _overused(self) -> str:
        """The limit (`memory`, `disk`, `inodes`) that the tree is over, or an empty string. Called by the watch."""
        return ""

    def _greeted(self) -> None:
        """The sandbox stands: what can be looked at only from now on."""

    def _release(self) -> None:
        """Frees what the driver holds, after the tree is gone."""

    def _exit_code(self) -> int | None:
        """What the process around the author's code ended with; negative for a signal."""
        return self._ends.process.returncode

    # ── the slot's thread ─────────────────────────────────────────────────────────────────────────────────────────────

    def frames(self) -> Iterator[Frame]:
        while not self._is_over:
            heard = {key.data for key, _ in self._selector.select(self._patience())}
            if "wake" in heard:
                self._drain_wake()
            if "channel" in heard or "stdout" in heard or "stderr" in heard:
                self._read_pipes(once=True)
            if "channel" in heard:
                yield from self._read_channel()
            if "process" in heard:
                yield from self._read_rest()
            yield from self._due()
        yield from self._last()

    def close(self) -> Exit:
        if self._exit is None:
            self.end()
            watch.remove(self)
            self._wait_for_the_end()
            self._exit = self._made_exit()
            self._release()
            self._close_ends()
        return self._exit

    # ── any thread ────────────────────────────────────────────────────────────────────────────────────────────────────

    def ack(self, key: str, occurrence: int, *, then: str = "go", why: str = "", value: Any = None) -> None:
        try:
            self._send(Ack(key=key, occurrence=occurrence, then=then, why=why, value=value))
        except Unfit:
            self.end()  # more than a frame holds: the next attempt finds it in its memo, which is a file

    def stop(self, *, grace: float) -> None:
        self._stop(cause="stopped", grace=grace)

    def end(self) -> None:
        self._end(cause="ended")

    def freeze(self) -> None:
        with self._lock:
            root = self._root() if self._exit is None else None
            if root is not None and self._frozen_at == float("inf"):
                self._frozen_at = time.monotonic()
                processes.stop_tree(root)

    def thaw(self) -> None:
        with self._lock:
            root = self._root() if self._exit is None else None
            if root is not None and self._frozen_at != float("inf"):
                self._deadline += time.monotonic() - self._frozen_at
                self._frozen_at = float("inf")
                processes.signal_tree(root, signal.SIGCONT)

    def look(self, now: float) -> None:
        """The watch's look at clock and limits."""
        with self._lock:
            if self._exit is not None or self._is_over or self._is_killed or self._frozen_at <= now:
                return
            if now >= self._kill_at:
                self._end(cause="ended")
            elif now >= self._deadline and Hello not in self._spoken:
                self._fail_to_stand()
            elif now >= self._deadline and self._kill_at == float("inf"):
                self._stop(cause="timeout", grace=LAST_GRACE)
            elif Hello in self._spoken and (limit := self._overused()):
                self._end(cause=limit)

    # ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _register(self) -> None:
        self._ends.channel.setblocking(False)
        self._woken, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._pidfd = os.pidfd_open(self._ends.process.pid)
        self._selector.register(self._woken, selectors.EVENT_READ, "wake")
        self._selector.register(self._ends.channel, selectors.EVENT_READ, "channel")
        self._selector.register(self._pidfd, selectors.EVENT_READ, "process")
        for stream, fd in (("stdout", self._ends.stdout), ("stderr", self._ends.stderr)):
            os.set_blocking(fd, False)
            self._selector.register(fd, selectors.EVENT_READ, stream)
        self._open = {self._ends.channel, self._ends.stdout, self._ends.stderr}

    def _patience(self) -> float | None:
        """How long nothing needs doing but reading."""
        now = time.monotonic()
        waits = [self._transcript.due(now)]
        if self._progress is not None:
            waits.append(max(0.0, self._progress_at + PROGRESS_PERIOD - now))
        known = [wait for wait in waits if wait is not None]
        return min(known) if known else None

    def _read_pipes(self, *, once: bool) -> None:
        for stream, fd in (("stdout", self._ends.stdout), ("stderr", self._ends.stderr)):
            while fd in self._open and self._read_pipe(stream, fd) and not once:
                pass

    def _read_pipe(self, stream: str, fd: int) -> bool:
        """Reads one piece; whether there may be more now."""
        try:
            piece = os.read(fd, PIECE)
        except BlockingIOError:
            return False
        if not piece:
            self._forget(fd)
            return False
        self._say(stream, self._splitters[stream].feed(piece))
        return True

    def _say(self, stream: str, texts: list[str]) -> None:
        if Hello not in self._spoken:
            self._words = [*self._words, *texts][-20:]
        self._transcript.add(texts, at=time.time(), stream=stream, level=LEVELS[stream])

    def _read_channel(self) -> Iterator[Frame]:
        """The frames that have come."""
        try:
            piece = self._ends.channel.recv(PIECE)
        except BlockingIOError:
            self._flush()
            return
        except ConnectionError:
            piece = b""
        if not piece:
            self._forget(self._ends.channel)
            return
        self._bytes_heard += len(piece)
        self._incoming += piece
        *lines, rest = self._incoming.split(b"\n")
        self._incoming = bytearray(rest)
        if len(rest) > LONGEST_FRAME:
            self._violate(f"a frame is longer than {LONGEST_FRAME:,} bytes")
        for line in lines:
            yield from self._heard(line)
        self._flush()

    def _heard(self, line: bytes | bytearray) -> Iterator[Frame]:
        if self._violation:
            return
        try:
            frame = read_frame(line)
            self._check_order(frame)
        except Unfit as error:
            self._violate(str(error).removeprefix("/: "))
            return
        if not self._is_killed or isinstance(frame, Log):
            yield from self._taken(frame)

    def _check_order(self, frame: Frame) -> None:
        if (Hello in self._spoken) == isinstance(frame, Hello):
            raise Unfit("hello is the first frame and comes once")
        if not isinstance(frame, Log | Progress):
            self._frames_left -= 1
            if self._frames_left < 0:
                self._end(cause="output")
                raise Unfit(f"more than {MOST_FRAMES:,} frames in one attempt")

    def _taken(self, frame: Frame) -> Iterator[Frame]:
        """What the slot's thread gets to see of a frame: logs as lines, progress at most four times a second."""
        if isinstance(frame, Log):
            splitter = Splitter()
            texts = splitter.feed(frame.text.encode()) + splitter.finish() or [""]
            self._transcript.add(texts, at=time.time(), stream="log", level=frame.level)
        elif isinstance(frame, Progress):
            self._progress = frame
        elif isinstance(frame, Done):
            self._done = frame
            yield from self._at_done()
        elif not isinstance(frame, Output | Error) or type(frame) not in self._spoken:
            self._spoken.add(type(frame))
            yield from self._everything()
            if isinstance(frame, Hello):
                self._begin()
            yield frame

    def _at_done(self) -> Iterator[Frame]:
        """The author's code says it has ended; its process usually follows."""
        yield from ()

    def _begin(self) -> None:
        with self._lock:
            self._deadline = time.monotonic() + self.limits.timeout_seconds
            self._greeted()
            self._send(replace(self._start, deadline=time.time() + self.limits.timeout_seconds))

    def _due(self) -> Iterator[Frame]:
        now = time.monotonic()
        if self._transcript.due(now) == 0.0:
            yield from _one(self._transcript.give(now))
        if self._progress is not None and now >= self._progress_at + PROGRESS_PERIOD:
            yield from self._latest_progress(now)

    def _latest_progress(self, now: float) -> Iterator[Frame]:
        if self._progress is not None:
            said, self._progress, self._progress_at = self._progress, None, now
            yield said

    def _everything(self) -> Iterator[Frame]:
        """All lines and the latest progress, now: what was said before a frame is told before it."""
        now = time.monotonic()
        while (batch := self._transcript.give(now)) is not None:
            yield batch
        yield from self._latest_progress(now)

    def _read_rest(self) -> Iterator[Frame]:
        """The process is gone: what it left in the pipes and the channel."""
        self._read_pipes(once=False)
        heard = -1
        while self._ends.channel in self._open and heard != (heard := self._bytes_heard):
            yield from self._read_channel()
        self._is_over = True

    def _last(self) -> Iterator[Frame]:
        self._read_pipes(once=False)
        for stream, splitter in self._splitters.items():
            self._say(stream, splitter.finish())
        self._transcript.finish()
        yield from self._everything()
        if self._incoming and not self._cause and not self._violation:
            self._violation = "the last frame has no end"

    # ── writing and ending ────────────────────────────────────────────────────────────────────────────────────────────

    def _send(self, frame: Frame) -> None:
        with self._lock:
            if self._exit is None:
                self._outgoing += write_frame(frame)
                self._flush()

    def _flush(self) -> None:
        """Writes what the sandbox takes; the rest when it reads. One that never does costs us this buffer and no more."""
        with self._lock:
            try:
                while self._outgoing and self._exit is None:
                    del self._outgoing[: self._ends.channel.send(self._outgoing)]
            except BlockingIOError:
                pass
            except OSError:
                self._outgoing.clear()
            if self._ends.channel in self._open and self._exit is None:
                events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._outgoing else 0)
                self._selector.modify(self._ends.channel, events, "channel")

    def _stop(self, *, cause: str, grace: float) -> None:
        with self._lock:
            if self._exit is not None or self._kill_at != float("inf"):
                return
            root = self._root()
            if root is None or Hello not in self._spoken:
                self._end(cause=cause)
                return
            self._set_cause(cause)
            self._kill_at = time.monotonic() + grace
            self._send(Cancel(grace=grace))
            processes.signal_tree(root, signal.SIGTERM)
            if self._frozen_at != float("inf"):
                self.thaw()

    def _end(self, *, cause: str) -> None:
        with self._lock:
            if self._exit is None:
                self._set_cause(cause)
                self._kill_now()

    def _set_cause(self, cause: str) -> None:
        """The first cause counts, and none once the code has ended by itself."""
        if not self._cause and self._done is None and not self._is_over:
            self._cause = cause

    def _violate(self, words: str) -> None:
        with self._lock:
            self._violation = self._violation or words
            self._kill_now()

    def _fail_to_stand(self) -> None:
        with self._lock:
            self._words.append(f"no hello within {self._stands_within:g} seconds")
            self._kill_now()

    def _kill_now(self) -> None:
        self._is_killed = True
        self._kill()
        self._rouse()

    def _rouse(self) -> None:
        with suppress(BlockingIOError):
            os.write(self._wake, b"!")

    def _drain_wake(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._woken, 4096)

    def _forget(self, end: socket.socket | int) -> None:
        with self._lock:
            self._open.discard(end)
            self._selector.unregister(end)

    def _wait_for_the_end(self) -> None:
        try:
            self._ends.process.wait(DYING)
        except subprocess.TimeoutExpired:
            self._ends.process.kill()
            self._ends.process.wait()

    def _made_exit(self) -> Exit:
        code, number = _ending(self._exit_code(), self._done)
        words = "\n".join(self._words).strip()
        return Exit(code, number, self._cause, Hello in self._spoken, self._violation, words)

    def _close_ends(self) -> None:
        with self._lock:
            self._selector.close()
            self._ends.channel.close()
            for fd in (self._woken, self._wake, self._pidfd, self._ends.stdout, self._ends.stderr):
                os.close(fd)


def _ending(code: int | None, done: Done | None) -> tuple[int | None, int | None]:
    """Exit code and signal of the author's code: its own word, where the process around it ended the same way."""
    if done is not None and code in (None, done.code):
        return (None, done.signal) if done.signal else (done.code, None)
    if code is None:
        return None, None
    if code < 0:
        return None, -code
    return (None, code - 128) if code in SIGNALLED else (code, None)


def _one(batch: Lines | None) -> Iterator[Frame]:
    if batch is not None:
        yield batch
