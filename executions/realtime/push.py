"""From a commit to the stream, beside every request: one bounded queue and one thread a process.

Guarantee: `hand` neither waits nor raises, so no request ever touches Redis. While Redis is away nothing is kept,
because whoever looks at a board then reads the database.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from django.conf import settings

from executions import events as history
from executions.realtime.news import News
from tasks import events as planning

logger = logging.getLogger(__name__)

MOST_WAITING = 10_000  # cards
BATCH = 500
BREAK = 5.0  # seconds without a further try, once Redis did not answer


class Push:
    """What waits for Redis, a card once however often it changed, and the thread that takes it there."""

    def __init__(self) -> None:
        self._waiting: dict[str, News] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._broken_until = 0.0

    def hand(self, news: News) -> None:
        with self._changed:
            earlier = self._waiting.get(news.element)
            if time.monotonic() < self._broken_until or (earlier is None and len(self._waiting) >= MOST_WAITING):
                return
            self._waiting[news.element] = earlier.joined(news) if earlier else news
            self._start()
            self._changed.notify()

    def _start(self) -> None:
        if self._thread is None or not self._thread.is_alive():  # the first time, or after a fork
            self._thread = threading.Thread(target=self._run, name="push", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        from executions.realtime import stream  # Redis's client takes a third of a second to load

        with stream.connect(settings.REDIS_URL) as client:
            while True:
                batch = self._take()
                try:
                    stream.add(client, batch)
                except stream.AWAY as error:
                    self._break(error)
                else:
                    self._mend()

    def _take(self) -> list[News]:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting)
            return [self._waiting.pop(element) for element in list(self._waiting)[:BATCH]]

    def _break(self, error: Exception) -> None:
        if not self._broken_until:
            logger.warning("Redis is away (%s): boards read the database every 2 s until it is back", error)
        with self._changed:
            self._broken_until = time.monotonic() + BREAK
            self._waiting.clear()

    def _mend(self) -> None:
        if self._broken_until:
            logger.info("Redis is back: boards are prompt again")
            self._broken_until = 0.0


push = Push()


def listen() -> None:
    """Hear of every commit in this process."""
    history.committed.connect(_tell_change, dispatch_uid="push")
    planning.planned.connect(_tell_plan, dispatch_uid="push")


def _tell_change(*, change: history.Change, **_: Any) -> None:
    push.hand(
        News(
            about="execution",
            id=str(change.execution_id),
            revision=change.revision,
            state=change.state,
            last_line=change.last_line,
            shows=change.kind != "log",
        )
    )


def _tell_plan(*, plan_id: int, version: int, **_: Any) -> None:
    push.hand(News(about="plan", id=str(plan_id), revision=version))
