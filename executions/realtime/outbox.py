"""Frames on their way to one socket, bounded: a page that cannot keep up costs this process no memory."""

from __future__ import annotations

import asyncio
from collections import deque

MOST_QUEUED = 100  # frames; all sockets share their text


class Outbox:
    """Frames on their way to one socket. One that overflows stays closed: its page comes back with its cursor."""

    def __init__(self) -> None:
        self.overflown = asyncio.Event()
        self._frames: deque[str] = deque()
        self._some = asyncio.Event()

    def put(self, text: str) -> None:
        if len(self._frames) >= MOST_QUEUED:
            self.overflown.set()
            self._frames.clear()
        if not self.overflown.is_set():
            self._frames.append(text)
            self._some.set()

    async def get(self) -> str:
        while not self._frames:
            self._some.clear()
            await self._some.wait()
        return self._frames.popleft()
