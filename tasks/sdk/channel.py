"""The author's end of the line to the house: frames over a file descriptor, one JSON object a line.

A frame is written whole, by one thread at a time. A house that is gone ends the process: nobody would read what comes next.
Frames are dicts here, not the dataclasses of `protocol`, so that an author's first line need not wait for those to load.
"""

from __future__ import annotations

import os
import sys
from _thread import allocate_lock

from .canonical import decode, encode
from .errors import Cancelled, Misuse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

LONGEST_FRAME = 1024 * 1024
SUSPENDED = 75  # the exit code of a run that ends to be continued (EX_TEMPFAIL)


class Channel:
    """Frames to and from the house. `cancelled` turns true with the first cancel frame or SIGTERM."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.cancelled = False
        self.watched = False  # the author's code asks `context.cancelled` itself, so SIGTERM need not raise
        self._due = False
        self._writing = False
        self._lock = allocate_lock()
        self._unread = b""

    def send(self, frame: dict[str, Any]) -> None:
        """Sends a frame. Raises Unfit where its values cannot be told, Misuse where it is too large."""
        line = line_of(frame)
        with self._lock:
            self._write(line)

    def tell(self, frame: dict[str, Any]) -> dict[str, Any]:
        """Sends a frame about a key and waits for the house's ack of it."""
        line = line_of(frame)
        with self._lock:
            self._write(line)
            while True:
                answer = self._next()
                if answer["t"] == "ack" and answer["key"] == frame["key"]:
                    return answer

    def receive(self) -> dict[str, Any]:
        """The next frame from the house, waited for."""
        with self._lock:
            return self._next()

    def is_cancelled(self) -> bool:
        """Whether a cancel has come, without waiting for one. From now on SIGTERM leaves the code to it."""
        self.watched = True
        if not self.cancelled and self._lock.acquire(False):
            try:
                self._read_what_is_there()
            finally:
                self._lock.release()
        return self.cancelled

    def interrupt(self) -> None:
        """On SIGTERM: raises Cancelled where the code stands, or right after the frame it is just writing."""
        self.cancelled = True
        self._due = not self.watched
        if not self._writing:
            self._obey()

    def between_frames(self, act: Callable[[], object]) -> bool:
        """Does `act`, which may raise, while no frame is under way; False where one is."""
        if not self._lock.acquire(False):
            return False
        try:
            act()
        finally:
            self._lock.release()
        return True

    def leave(self, code: int) -> NoReturn:
        """Ends the process at once: no further line of the author's code runs."""
        flush()
        self._write(line_of({"t": "done", "code": code}))
        os._exit(code)

    def _obey(self) -> None:
        if self._due:
            self._due = False
            raise Cancelled("the run was cancelled")

    def _write(self, line: bytes) -> None:
        self._writing = True
        view = memoryview(line)
        try:
            while view:
                view = view[os.write(self.fd, view) :]
        except (BrokenPipeError, ConnectionResetError):
            os._exit(SUSPENDED)
        finally:
            self._writing = False
        self._obey()

    def _next(self) -> dict[str, Any]:
        while b"\n" not in self._unread:
            more = os.read(self.fd, 65_536)
            if not more:
                os._exit(SUSPENDED)
            self._unread += more
        line, _, self._unread = self._unread.partition(b"\n")
        frame: dict[str, Any] = decode(line)
        self.cancelled = self.cancelled or frame["t"] == "cancel"
        return frame

    def _read_what_is_there(self) -> None:
        import select

        while b"\n" in self._unread or select.select([self.fd], [], [], 0)[0]:
            self._next()


def line_of(frame: dict[str, Any]) -> bytes:
    """A frame's line of bytes. Raises Unfit or Misuse, so that nothing broken is ever sent."""
    line = encode(frame) + b"\n"
    if len(line) > LONGEST_FRAME:
        raise Misuse(
            f"what a verb tells the house may take at most {LONGEST_FRAME:,} bytes as JSON, and this {frame['t']} takes "
            f"{len(line):,}: keep the essence, and print or write the rest"
        )
    return line


def flush() -> None:
    """Hands on what the code has printed."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass
