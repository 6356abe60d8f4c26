"""The wake-up: says “queue q may have work”, and nothing else.

It carries no execution and may be lost, doubled or late: the row is the truth, the sweep rings again, and idle slots look by
themselves. So ringing never waits: requests hand their ring to one thread, which talks to Redis with a short time-out and
leaves it alone for a while after a failure.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import close_old_connections
from django.utils.module_loading import import_string

from executions import queries
from executions.events import Change
from executions.states import CLAIMABLE

logger = logging.getLogger(__name__)

JOB = "runboard.wake"
SLOTS_KNOWN_FOR = 5.0
LEFT_ALONE_FOR = 5.0
PUBLISHING = {"socket_timeout": 2, "socket_connect_timeout": 1, "retry_on_timeout": False}


def queue_name(queue: str) -> str:
    """The Celery queue that carries a queue's wake-ups."""
    return f"wake.{queue}"


def on_committed(sender: object, *, change: Change, **_: Any) -> None:
    """Receiver of `committed`: whatever can be claimed now rings its queue's bell."""
    if change.state in CLAIMABLE and change.is_due:
        BELL.ring(change.queue)


class Bell:
    """One thread of this process that rings for everybody; rings of one queue that wait together are one."""

    def __init__(self, publish: Callable[[str, int], None] | None = None) -> None:
        self._publish = publish or Publisher().publish
        self._rings: dict[str, int] = {}
        self._changed = threading.Condition()
        self._owner = 0

    def ring(self, queue: str, *, times: int = 1) -> None:
        """Ask for wake-ups; returns at once, whatever Redis does."""
        with self._changed:
            self._rings[queue] = self._rings.get(queue, 0) + times
            if self._owner != os.getpid():  # the first ring of this process, or of a forked one
                self._owner = os.getpid()
                threading.Thread(target=self._work, name="bell", daemon=True).start()
            self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._rings)
                rings, self._rings = self._rings, {}
            for queue, times in rings.items():
                self._ring(queue, times)

    def _ring(self, queue: str, times: int) -> None:
        try:
            self._publish(queue, times)
        except Exception as error:  # Redis may fail in any way; the sweep rings again
            logger.warning("no wake-up for queue %s, the sweep will ring: %s", queue, error)
            time.sleep(LEFT_ALONE_FOR)


class Publisher:
    """Sends wake-ups while fewer of them are outstanding than the queue has slots."""

    def __init__(self) -> None:
        self._connection: Any = None
        self._slots: dict[str, int] = {}
        self._slots_read = 0.0

    def publish(self, queue: str, times: int) -> None:
        """Put up to `times` wake-ups into Redis; raises what the connection raises."""
        try:
            self._send(queue, times)
        except Exception:
            self.close()
            raise

    def close(self) -> None:
        """Forget the connection; the next wake-up opens one."""
        if self._connection is not None:
            self._connection.release()
            self._connection = None

    def _send(self, queue: str, times: int) -> None:
        app = import_string(settings.WAKE_UP_APP)
        if self._connection is None:
            self._connection = app.connection_for_write()
            self._connection.transport_options = {**self._connection.transport_options, **PUBLISHING}
        channel = self._connection.default_channel
        outstanding = int(channel.client.llen(queue_name(queue)))
        for _ in range(max(0, min(times, self._slots_of(queue) - outstanding))):
            app.send_task(
                JOB,
                kwargs={"queue": queue},
                queue=queue_name(queue),
                connection=self._connection,
                retry=False,
                ignore_result=True,
                expires=60,
            )

    def _slots_of(self, queue: str) -> int:
        if time.monotonic() - self._slots_read > SLOTS_KNOWN_FOR:
            close_old_connections()
            self._slots, self._slots_read = queries.slots_by_queue(), time.monotonic()
            close_old_connections()
        return self._slots.get(queue, 1)


BELL = Bell()
