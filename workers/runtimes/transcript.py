"""From bytes on a pipe to log lines: split, capped, batched. Pure but for the clock that callers pass in.

A line is at most 16 KiB and is marked where it was cut; an attempt keeps at most 50 MB, its beginning as it comes and the
last 1 MB at its end, with a line between them that says how many are missing. What is not UTF-8, and NUL, becomes U+FFFD.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from workers.runtimes.base import Line, Lines

LONGEST_LINE = 16 * 1024
MOST = 50 * 1000 * 1000
TAIL = 1000 * 1000
BATCH = 2000
PERIOD = 0.25
OVERHEAD = 40  # what a line costs beside its text
CUT = " … (line cut at 16 KiB)"


class Splitter:
    """Splits what comes in pieces into whole lines."""

    def __init__(self) -> None:
        self._open = bytearray()
        self._skipping = False

    def feed(self, piece: bytes) -> list[str]:
        """The lines that this piece completes (an endless one is completed by being cut)."""
        *whole, rest = piece.split(b"\n")
        lines: list[str] = []
        for part in whole:
            self._extend(part, lines)
            if not self._skipping:
                lines.append(_text(self._open))
            self._open.clear()
            self._skipping = False
        self._extend(rest, lines)
        return lines

    def finish(self) -> list[str]:
        """The line that never got its end, if there is one."""
        lines = [_text(self._open)] if self._open and not self._skipping else []
        self._open.clear()
        return lines

    def _extend(self, part: bytes, lines: list[str]) -> None:
        if self._skipping:
            return
        self._open += part
        if len(self._open) > LONGEST_LINE:
            lines.append(_text(self._open[:LONGEST_LINE]) + CUT)
            self._open.clear()
            self._skipping = True


class Transcript:
    """The log of one attempt: takes lines as they come, gives batches when they are due."""

    def __init__(self, *, most: int = MOST, tail: int = TAIL) -> None:
        self._room = most - tail
        self._tail_room = tail
        self._batch: list[Line] = []
        self._tail: deque[Line] = deque()
        self._tail_size = 0
        self._dropped = 0
        self._is_full = False
        self._given_at = float("-inf")

    def add(self, texts: Iterable[str], *, at: float, stream: str, level: str) -> None:
        """Takes lines of a stream; `at` is unix time."""
        for text in texts:
            self._take(Line(at, stream, level, text))

    def due(self, now: float) -> float | None:
        """In how many seconds a batch is due, or None while there is nothing to give. The first line is due at once."""
        if not self._batch:
            return None
        return 0.0 if len(self._batch) >= BATCH else max(0.0, self._given_at + PERIOD - now)

    def give(self, now: float) -> Lines | None:
        """The next batch, or None."""
        if not self._batch:
            return None
        self._given_at = now
        given, self._batch = self._batch[:BATCH], self._batch[BATCH:]
        return Lines(tuple(given))

    def finish(self) -> None:
        """Nothing more comes: what was kept of the end becomes due."""
        if self._dropped:
            words = f"{self._dropped:,} lines dropped here: an attempt keeps 50 MB of log"
            self._batch.append(Line(self._tail[0].at, "log", "warning", words))
        self._batch += self._tail
        self._tail.clear()

    def _take(self, line: Line) -> None:
        size = len(line.text) + OVERHEAD
        if not self._is_full and size <= self._room:
            self._room -= size
            self._batch.append(line)
            return
        if not self._is_full:
            self._is_full = True
            words = "The log is full: from here on only its last 1 MB is kept, and shown when the attempt ends."
            self._batch.append(Line(line.at, "log", "warning", words))
        self._tail.append(line)
        self._tail_size += size
        while self._tail_size > self._tail_room and len(self._tail) > 1:
            self._tail_size -= len(self._tail.popleft().text) + OVERHEAD
            self._dropped += 1


def _text(raw: bytes | bytearray) -> str:
    return raw.removesuffix(b"\r").decode(errors="replace").replace("\0", "\ufffd")
