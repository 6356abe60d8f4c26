"""Descriptors that a process about to be started is given, and the other ends that stay here.

Whatever happens, the given ones are closed in this process once the block is left; the kept ones only if it fails.
"""

from __future__ import annotations

import os
import socket
from types import TracebackType
from typing import Self


class Handover:
    """Makes pipes, socket pairs and in-memory files for a child."""

    def __init__(self) -> None:
        self.given: list[int] = []
        self._kept: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for fd in self.given if kind is None else [*self.given, *self._kept]:
            os.close(fd)

    def pipe(self) -> tuple[int, int]:
        """A pipe the child writes into: (our end, its end)."""
        reading, writing = os.pipe()
        self._kept.append(reading)
        self.given.append(writing)
        return reading, writing

    def channel(self) -> tuple[int, int]:
        """A socket pair: (our end, its end)."""
        ours, theirs = socket.socketpair()
        self._kept.append(ours.detach())
        self.given.append(theirs.detach())
        return self._kept[-1], self.given[-1]

    def file(self, body: bytes) -> int:
        """A file in memory that the child reads from its beginning."""
        fd = os.memfd_create("runboard")
        self.given.append(fd)
        view = memoryview(body)
        while view:
            view = view[os.write(fd, view) :]
        os.lseek(fd, 0, os.SEEK_SET)
        return fd
