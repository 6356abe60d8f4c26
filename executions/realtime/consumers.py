"""The sockets of the board and of an execution's page: they let in, join the hub, and pass on what it sends.

A socket that is refused or let go is told by its close code why: 4401 nobody is signed in, 4403 the right to look is
gone, 4404 no such execution, 4008 it could not keep up, 1008 and 1009 it said too much. A page only listens: what it
says is not read.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

from channels.generic.websocket import AsyncWebsocketConsumer

from executions.realtime import frames
from executions.realtime.frames import Frame, in_thread
from executions.realtime.hub import Hub
from executions.realtime.outbox import Outbox
from executions.realtime.rights import refusal

logger = logging.getLogger(__name__)

NOT_FOUND = 4404
TOO_SLOW = 4008
TOO_LARGE = 1009
TOO_TALKATIVE = 1008
FAILED = 1011

SEND_PATIENCE = 10.0  # seconds for one frame
ASK_EVERY = 60.0  # seconds between two looks at what this person may see
LARGEST_MESSAGE = 4096  # characters
MOST_MESSAGES = 60  # in a socket's life: ours send none


class LiveConsumer(AsyncWebsocketConsumer, ABC):
    """One socket: accepted, judged, fed, and closed with a code as soon as one of its watches ends."""

    execution_id: UUID | None
    _life: asyncio.Task[None] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.execution_id = scope["url_route"]["kwargs"].get("pk")
        self._messages = 0
        self._verdict: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        try:
            await super().__call__(scope, receive, send)
        finally:
            if self._life:
                self._life.cancel()

    async def connect(self) -> None:
        # A browser is told no code by a handshake that fails, so whoever is refused is first let in.
        await self.accept()
        self._life = asyncio.create_task(self._live())

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        self._messages += 1
        if len(text_data or bytes_data or "") > LARGEST_MESSAGE:
            self._judge(TOO_LARGE)
        elif self._messages > MOST_MESSAGES:
            self._judge(TOO_TALKATIVE)

    @abstractmethod
    async def first_frame(self) -> Frame | None:
        """What the page missed until now; None where there is nothing to look at."""

    async def _live(self) -> None:
        try:
            code = await self._refused() or await self._serve()
        except OSError:  # the page is gone
            return
        except Exception:
            logger.exception("a socket failed; its page comes back")
            code = FAILED
        with suppress(OSError):
            await self.close(code)

    async def _refused(self) -> int | None:
        return await in_thread(refusal)(self.scope["session"].session_key)

    async def _serve(self) -> int:
        outbox, hub = Outbox(), Hub.here()
        hub.join(outbox, self.execution_id)  # before the replay, so that nothing falls between
        try:
            frame = await self.first_frame()
            if frame is None:
                return NOT_FOUND
            await self.send(frames.pack({**frame, **hub.standing(self.execution_id)}))
            return await first_of(self._verdict, self._pump(outbox), self._overflow(outbox), self._watch_rights())
        finally:
            hub.leave(outbox, self.execution_id)

    async def _pump(self, outbox: Outbox) -> int:
        with suppress(TimeoutError):
            while True:
                text = await outbox.get()
                async with asyncio.timeout(SEND_PATIENCE):
                    await self.send(text)
        return TOO_SLOW

    async def _overflow(self, outbox: Outbox) -> int:
        await outbox.overflown.wait()
        return TOO_SLOW

    async def _watch_rights(self) -> int:
        code = None
        while code is None:
            await asyncio.sleep(ASK_EVERY)
            code = await self._refused()
        return code

    def _judge(self, code: int) -> None:
        if not self._verdict.done():
            self._verdict.set_result(code)


class BoardConsumer(LiveConsumer):
    """`/ws/board/?since=<cursor>`: every card that changes, and first what changed since."""

    async def first_frame(self) -> Frame | None:
        asked = parse_qs(self.scope["query_string"].decode("latin-1")).get("since")
        return await (in_thread(frames.replay)(asked[0]) if asked else in_thread(frames.present)())


class ExecutionConsumer(LiveConsumer):
    """`/ws/executions/<uuid>/`: that this execution changed or that its log grew; the page fetches what it shows."""

    async def first_frame(self) -> Frame | None:
        return await in_thread(frames.seen)(self.execution_id) if self.execution_id else None


class NowhereConsumer(AsyncWebsocketConsumer):
    """Any other address: the handshake is refused."""

    async def connect(self) -> None:
        await self.close()


async def first_of(verdict: asyncio.Future[int], *watches: Coroutine[Any, Any, int]) -> int:
    """What the first of them says; the others end."""
    tasks = [asyncio.create_task(watch) for watch in watches]
    try:
        done, _ = await asyncio.wait([verdict, *tasks], return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()
    finally:
        for task in tasks:
            task.cancel()
