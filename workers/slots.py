"""The slots of a process, which are its only limit.

A slot is a thread of its own that takes due work until there is none. Whatever thinks that work may be due (a wake-up, the
process's own look every few seconds) wakes a slot and never waits; so slots are never exceeded, and a worker started
without Redis works.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

from django.db import connection

from executions.queries import Work

logger = logging.getLogger(__name__)


class Slots:
    """`count` threads that run one claim each until nothing is due.

    Guarantee: never more claims run than there are slots. A slot that looks asks for as many as are free, itself included;
    what it gets beyond its own goes to the others. What `claim` takes ahead (work that is over in a moment) waits here for the
    next slot that ends, and is given back where none does (`late`, `drain`).
    """

    def __init__(self, *, count: int, claim: Callable[[int], list[Work]], run: Callable[[Work], None]) -> None:
        self._claim, self._run, self._count = claim, run, count
        self._free = count
        self._woken = 0
        self._looked = self._handed_at = time.monotonic()
        self._handed: deque[Work] = deque()
        self._draining = False
        self._changed = threading.Condition()
        for slot in range(count):
            threading.Thread(target=self._work, args=(slot,), name=f"slot-{slot}", daemon=True).start()

    def wake(self, *, times: int = 1) -> None:
        """Something may be due. Never more wakings wait than there are slots."""
        with self._changed:
            self._woken = min(self._woken + times, self._count)
            self._changed.notify(times)

    def waiting(self) -> list[Work]:
        """The claims that no slot runs yet."""
        with self._changed:
            return list(self._handed)

    def late(self, after: float) -> list[Work]:
        """Claims that no slot has taken for so many seconds; none takes them any more."""
        with self._changed:
            return self._taken_back() if time.monotonic() - self._handed_at > after else []

    def drain(self) -> list[Work]:
        """Take nothing new from now on; the claims that no slot runs yet, and none will."""
        with self._changed:
            self._draining = True
            self._changed.notify_all()
            return self._taken_back()

    def is_stuck(self, after: float) -> bool:
        """Whether slots are free and were woken, and none of them has looked for work for so many seconds."""
        with self._changed:
            waits = self._woken and self._free and not self._draining
            return bool(waits) and time.monotonic() - self._looked > after

    def wait_idle(self, timeout: float) -> bool:
        """Wait for the runs under way; False where some still go on."""
        with self._changed:
            return self._changed.wait_for(lambda: self._free == self._count, timeout)

    def _work(self, slot: int) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._free and not self._draining and (self._handed or self._woken))
                claim = self._next()
                if claim is None:
                    self._woken -= 1
                else:
                    self._free -= 1
            try:
                self._until_nothing_is_due(self._look(mine=0) if claim is None else claim)
            except Exception:
                logger.exception("slot %s could not work; it looks again soon", slot)
                connection.close()

    def _until_nothing_is_due(self, claim: Work | None) -> None:
        """Run this claim, then whatever comes next; the place that it takes is given back at the end."""
        while claim is not None:
            try:
                self._run(claim)
            except BaseException:
                self._give_back(1)
                raise
            with self._changed:
                claim = self._next()
            claim = claim or self._look(mine=1)

    def _look(self, *, mine: int) -> Work | None:
        """Claim for this slot, which holds `mine` places, and for all that are free and have nothing waiting for them."""
        with self._changed:
            self._looked = time.monotonic()
            spare = max(0, self._free - len(self._handed))
            self._free -= spare
        places = mine + spare
        got: list[Work] = []
        try:
            if places and not self._draining:
                got = self._claim(places)
        finally:
            with self._changed:
                if got[1:]:
                    self._handed.extend(got[1:])
                    self._handed_at = time.monotonic()
            self._give_back(places - bool(got))
        return got[0] if got else None

    def _next(self) -> Work | None:
        """The next claim that waits here. Called with the lock held."""
        if self._draining or not self._handed:
            return None
        self._handed_at = time.monotonic()
        return self._handed.popleft()

    def _taken_back(self) -> list[Work]:
        taken, self._handed = list(self._handed), deque()
        return taken

    def _give_back(self, places: int) -> None:
        with self._changed:
            self._free += places
            self._changed.notify_all()


_of_this_process: list[Slots] = []


def serve(slots: Slots) -> None:
    """These are the slots that this process's wake-ups wake."""
    _of_this_process[:] = [slots]


def wake() -> None:
    """A wake-up arrived."""
    for slots in _of_this_process:
        slots.wake()
