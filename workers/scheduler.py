"""Heals what a lost message or a lost worker left: sweep, reap, timers. It fires schedules, and anchors and prunes histories.
Its own process, any number of copies.

It does not reap until it has had one lease of healthy contact with the database, and starts that wait again when a tick comes
later than one lease after the last (a laptop that slept): owners must have had the chance to renew first.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django.utils import timezone

from executions import queries, schedules, transitions
from executions.history import Upkeep
from workers.dispatch import Bell

logger = logging.getLogger(__name__)

ACTOR = "scheduler"
SHORTEST_PAUSE = 0.1  # seconds between two looks, however much is due


def run() -> None:
    """Tick every `settings.SWEEP`, and when something is due, until SIGTERM or SIGINT."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    scheduler = Scheduler(bell=Bell())
    logger.info("scheduler sweeps every %g s", settings.SWEEP.total_seconds())
    while not stop.wait(scheduler.pause):
        scheduler.tick()


@dataclass
class Scheduler:
    """One tick after the other; `clock` is monotonic seconds."""

    bell: Bell
    clock: Callable[[], float] = time.monotonic
    healthy_since: float | None = field(default=None, init=False)
    last_tick: float | None = field(default=None, init=False)
    upkeep: Upkeep = field(default_factory=Upkeep, init=False)
    pause: float = field(default_factory=settings.SWEEP.total_seconds, init=False)

    def tick(self) -> None:
        """Look once, and find out when to look next; a database that does not answer only starts the wait again."""
        self._notice_gap()
        self.pause = settings.SWEEP.total_seconds()
        try:
            now = queries.present()
            sweep(self.bell)
            fire_timers()
            hurry = schedules.fire_due(now)
            cancel_children()
            if self._may_reap():
                reap()
            self.upkeep.tick(timezone.now())
            self._look_ahead(after=now, hurry=hurry)
        except (DatabaseError, InterfaceError) as error:
            logger.warning("the database did not answer: %s", error)
            self.healthy_since = None
            connection.close()

    def _look_ahead(self, *, after: datetime, hurry: bool) -> None:
        """Be there when the next thing after this look is due; at once where something was left."""
        due_in = 0.0 if hurry else queries.next_moment(after=after)
        if due_in is not None:
            self.pause = min(self.pause, max(due_in, SHORTEST_PAUSE))

    def _notice_gap(self) -> None:
        now, lease = self.clock(), settings.LEASE.total_seconds()
        if self.healthy_since is None or (self.last_tick is not None and now - self.last_tick > lease):
            self.healthy_since = now
        self.last_tick = now

    def _may_reap(self) -> bool:
        return self.healthy_since is not None and self.clock() - self.healthy_since >= settings.LEASE.total_seconds()


def sweep(bell: Bell) -> None:
    """Ring for whatever is due: never more often than there are slots."""
    slots = queries.slots_by_queue()
    for queue, due in queries.due_by_queue(most=max(slots.values(), default=1)).items():
        bell.ring(queue, times=min(due, slots.get(queue, 1)))


def reap() -> None:
    """Take back what lost workers hold."""
    for pk, token in queries.expired():
        each(partial(reclaim, pk, token))


def reclaim(pk: UUID, token: int) -> None:
    if transitions.reclaim(pk, token=token, now=timezone.now(), actor=ACTOR):
        logger.warning("the lease of %s ran out: reclaimed", pk)


def fire_timers() -> None:
    """Do what is due at its moment."""
    for timer in queries.due_timers():
        each(partial(transitions.fire, timer, now=timezone.now(), actor=ACTOR))


def cancel_children() -> None:
    """Stop the children that nobody waits for any more, where the end of their parent did not get to it."""
    for child in queries.to_cancel():
        each(partial(transitions.cancel_child, child, now=timezone.now()))


def each(do: Callable[[], object]) -> None:
    """One of many: what goes wrong with it is told, and the others are done. A database that is away stops them all."""
    try:
        do()
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        logger.exception("one thing that was due could not be done; it is tried again at the next look")
