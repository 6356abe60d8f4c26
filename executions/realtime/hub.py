"""What feeds the sockets of one process: it hears of changes, draws each changed card once, and sends all the same.

Guarantee: what was committed reaches every socket that stays, whatever becomes of announcements. The stream makes it
prompt; a healing read of the database every few seconds makes it true, and alone suffices while Redis is away. Bounded
everywhere: a socket that cannot keep up is let go, and a flood of changes becomes a request to fetch the page again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from datetime import datetime
from typing import ClassVar
from uuid import UUID
from weakref import WeakKeyDictionary

from django.conf import settings
from django.db import Error as DatabaseFailure
from redis import RedisError

from executions.realtime import frames, stream
from executions.realtime.frames import Frame, Healed, in_thread
from executions.realtime.news import News
from executions.realtime.outbox import Outbox
from executions.waiting import Why

logger = logging.getLogger(__name__)

WINDOW = 0.075  # seconds between two frames; the first after a pause goes out at once
HEAL_EVERY = 3.0
POLL_EVERY = 2.0  # while Redis is away
BEAT = 1.0  # seconds between two words to every socket: a page that hears none knows that it is cut off
RETRY = 1.0
LOG_EVERY = 0.25  # seconds between two frames that tell of nothing but new log lines of one execution
MOST_DRAWN = 200  # cards in one frame
MOST_DIRTY = 1_000  # cards waiting to be drawn; past it every page fetches itself again
MOST_REMEMBERED = 50_000  # revisions sent
AWAY = "Redis is away: updates arrive every 2 s."
BLIND = "The database does not answer: what you see may be stale."


class Hub:
    """Started by the first socket of its event loop, stopped by the last."""

    _here: ClassVar[WeakKeyDictionary[asyncio.AbstractEventLoop, Hub]] = WeakKeyDictionary()

    @classmethod
    def here(cls) -> Hub:
        loop = asyncio.get_running_loop()
        if loop not in cls._here:
            cls._here[loop] = cls()
        return cls._here[loop]

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []
        self._boards: set[Outbox] = set()
        self._readers: dict[UUID, set[Outbox]] = {}
        self._clear()

    def _clear(self) -> None:
        self._stir = asyncio.Event()  # there is something to send
        self._hurry = asyncio.Event()  # the database is to be read now
        self._dirty: dict[str, News] = {}
        self._grown: dict[UUID, News] = {}
        self._sent: OrderedDict[str, int] = OrderedDict()  # revisions by element
        self._told: dict[UUID, tuple[float, News]] = {}  # when an execution's page was last told, and what
        self._whys: dict[str, tuple[int, Why]] = {}
        self._fresh_whys: dict[str, Frame] = {}
        self._position: bytes | None = None
        self._healed_at: datetime | None = None
        self._cursor = ""
        self._sent_at = 0.0
        self._redis_away = self._database_away = False

    @property
    def degraded(self) -> str:
        """What a page should say about how it is fed; empty where all is well."""
        return BLIND if self._database_away else AWAY if self._redis_away else ""

    def standing(self, execution_id: UUID | None = None) -> Frame:
        """What a socket that joins is told beside its replay, for it holds without any change."""
        known = self._whys if execution_id is None else self._known(str(execution_id))
        reasons = {pk: frames.explained(why, version) for pk, (version, why) in known.items()}
        return {"degraded": self.degraded, "why": reasons}

    def _known(self, pk: str) -> dict[str, tuple[int, Why]]:
        return {pk: self._whys[pk]} if pk in self._whys else {}

    # Sockets

    def join(self, outbox: Outbox, execution_id: UUID | None = None) -> None:
        """From now on the outbox gets every frame: of the board, or of one execution."""
        if execution_id is None:
            self._boards.add(outbox)
        else:
            self._readers.setdefault(execution_id, set()).add(outbox)
        if not self._tasks:
            self._start()

    def leave(self, outbox: Outbox, execution_id: UUID | None = None) -> None:
        self._boards.discard(outbox)
        if execution_id in self._readers:
            self._readers[execution_id].discard(outbox)
            if not self._readers[execution_id]:
                del self._readers[execution_id]
                self._told.pop(execution_id, None)
        if not self._boards and not self._readers:
            self._stop()

    def _start(self) -> None:
        self._clear()
        work = (self._listen, self._heal, self._send, self._beat)
        self._tasks = [asyncio.create_task(self._supervised(each), name=f"hub{each.__name__}") for each in work]

    def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._tasks = []

    def _is_needed(self) -> bool:
        """redis-py waits by `asyncio.wait_for`, which on Python 3.11 may swallow a cancellation: so who loops asks."""
        return asyncio.current_task() in self._tasks

    async def _supervised(self, work: Callable[[], Awaitable[None]]) -> None:
        while self._is_needed():
            try:
                await work()
            except Exception:
                logger.exception("the hub's %s failed; it goes on in %s s", work.__name__, RETRY)
            await asyncio.sleep(RETRY)

    # Hearing

    async def _listen(self) -> None:
        """Follow the stream. Where it cannot be followed, the healing read is enough."""
        async with aclosing(stream.connect_async(settings.REDIS_URL)) as client:
            try:
                self._position = self._position or await stream.end(client)
                while self._is_needed():
                    self._position, found = await stream.after(client, self._position)
                    self._redis(away=False)
                    for news in found:
                        self._hear(news)
            except (RedisError, OSError):
                self._redis(away=True)

    def _redis(self, *, away: bool) -> None:
        if away != self._redis_away:
            self._redis_away = away
            self._hurry.set()
            self._say_degraded()

    def _hear(self, news: News) -> None:
        if news.about == "execution" and (pk := UUID(news.id)) in self._readers:
            self._grown[pk] = self._grown[pk].joined(news) if pk in self._grown else news
            self._stir.set()
        if news.shows and self._boards and self._sent.get(news.element, -1) < news.revision:
            self._dirty[news.element] = news
            self._stir.set()

    # Healing

    async def _heal(self) -> None:
        while True:
            try:
                found = await in_thread(frames.healed)(self._healed_at, watching=list(self._readers))
            except DatabaseFailure as error:
                self._database(away=True, why=error)
            else:
                self._database(away=False)
                self._take_in(found)
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_EVERY if self._redis_away else HEAL_EVERY):
                    await self._hurry.wait()
            self._hurry.clear()

    def _database(self, *, away: bool, why: Exception | None = None) -> None:
        if away and not self._database_away:
            logger.warning("boards are blind: the database does not answer (%r)", why)
        if away != self._database_away:
            self._database_away = away
            self._say_degraded()

    def _take_in(self, found: Healed) -> None:
        for news in found.news:
            self._hear(news)
        for pk, (version, why) in found.reasons.items():
            if self._whys.get(pk) != (version, why):
                self._explain(pk, frames.explained(why, version))
        self._whys = found.reasons
        self._healed_at = found.at
        self._stir.set()

    def _explain(self, pk: str, why: Frame) -> None:
        self._fresh_whys[pk] = why
        if readers := self._readers.get(UUID(pk)):
            told = self._told.get(UUID(pk))
            text = frames.pack({**(frames.watched(told[1]) if told else {}), "why": {pk: why}})
            for outbox in readers:
                outbox.put(text)

    # Sending

    async def _send(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._stir.wait()
            await asyncio.sleep(max(0.0, self._sent_at + WINDOW - loop.time()))
            self._stir.clear()
            self._send_grown(loop)
            await self._send_board()
            self._sent_at = loop.time()

    async def _send_board(self) -> None:
        if len(self._dirty) > MOST_DIRTY:
            self._send_reset()
        batch = [self._dirty.pop(element) for element in list(self._dirty)[:MOST_DRAWN]]
        for news in batch:  # now, so that a healing read meanwhile does not find them again
            self._remember(news.element, news.revision)
        frame = await self._draw(batch) if batch else {}
        if self._dirty:
            self._stir.set()
        elif self._healed_at:
            self._cursor = frames.cursor(self._healed_at)  # true only now: all that was read by then is sent
        if self._fresh_whys:
            frame["why"], self._fresh_whys = self._fresh_whys, {}
        if frame:
            self._broadcast({**frame, "cursor": self._cursor})

    async def _draw(self, batch: list[News]) -> Frame:
        try:
            frame = await in_thread(frames.drawn)(batch)
        except Exception:
            for news in batch:
                self._sent.pop(news.element, None)
            self._dirty = {news.element: news for news in batch} | self._dirty
            self._stir.set()
            raise
        for shown in (*frame["cards"], *frame["plans"], *frame["gone"]):
            self._remember(shown["id"], shown["version"] or 0)
        return frame

    def _send_reset(self) -> None:
        for news in self._dirty.values():
            self._remember(news.element, news.revision)
        self._dirty.clear()
        self._broadcast({"reset": True, "cursor": self._cursor})

    def _remember(self, element: str, revision: int) -> None:
        self._sent[element] = revision
        self._sent.move_to_end(element)
        while len(self._sent) > MOST_REMEMBERED:
            self._sent.popitem(last=False)

    def _send_grown(self, loop: asyncio.AbstractEventLoop) -> None:
        """Tell the pages of single executions; no query, for the news say all."""
        for pk, news in list(self._grown.items()):
            at, before = self._told.get(pk, (0.0, None))
            wait = at + LOG_EVERY - loop.time()
            if not news.shows and wait > 0:
                loop.call_later(wait, self._stir.set)
                continue
            del self._grown[pk]
            if before and news.revision <= before.revision and news.last_line <= before.last_line:
                continue
            self._told[pk] = (loop.time(), news)
            text = frames.pack({**frames.watched(news), "cursor": self._cursor})
            for outbox in self._readers.get(pk, ()):
                outbox.put(text)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT)
            self._everyone(frames.pack({"cursor": self._cursor}))

    def _say_degraded(self) -> None:
        self._everyone(frames.pack({"degraded": self.degraded}))

    def _broadcast(self, frame: Frame) -> None:
        text = frames.pack(frame)
        for outbox in self._boards:
            outbox.put(text)

    def _everyone(self, text: str) -> None:
        for outbox in (*self._boards, *(outbox for readers in self._readers.values() for outbox in readers)):
            outbox.put(text)
