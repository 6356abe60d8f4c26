"""Places where a house made for it may be broken on purpose: `FAILPOINT=name[:nth][=action]`, read by config/env.py.

Guarantee: where nothing is set, a place costs one comparison; config/env.py refuses to start any house with it but a scratch
one. Every verb of the door has two places, `before_<verb>_commit` (all is written, nothing is committed) and
`after_<verb>_commit` (committed, nobody has been told), and so have `any` verb and
the firing of a `schedule`; the others are PLACES.
`nth` is a number from 1, or with a point in it a probability at each pass: `after_any_commit:0.05=ambiguous`.
"""

from __future__ import annotations

import os
import random
import signal
import threading
from dataclasses import dataclass, field

from django.conf import settings
from django.db import OperationalError, connection

ACTIONS = ("kill", "ambiguous", "stop")
PLACES = ("before_spawn", "after_hello")  # claimed and no sandbox yet; a sandbox that stands and no record of it


@dataclass
class Failpoint:
    """What breaks, at which pass, and how: kill -9; `ambiguous` as if the connection had died with the answer; `stop`."""

    name: str
    nth: int = 1
    chance: float = 0.0
    action: str = "kill"
    passed: int = field(default=0, init=False)
    lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def meets(self, place: str) -> bool:
        """Whether this pass of a place is the one."""
        if place != self.name:
            return False
        if self.chance:
            return random.random() < self.chance  # noqa: S311 — a fault's luck
        with self.lock:
            self.passed += 1
            return self.passed == self.nth

    def act(self) -> None:
        if self.action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.action == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        else:
            connection.close()
            raise OperationalError(f"{self.name}: the connection died before the answer came")


def read(text: str) -> Failpoint | None:
    """`name[:nth][=action]`; nothing for nothing. Raises ValueError for an action that there is not."""
    if not text:
        return None
    place, _, action = text.partition("=")
    name, _, count = place.partition(":")
    if action and action not in ACTIONS:
        raise ValueError(f"FAILPOINT: “{action}” is none of {', '.join(ACTIONS)}")
    chance = float(count) if "." in count else 0.0
    return Failpoint(name, nth=int(count or 1) if not chance else 1, chance=chance, action=action or "kill")


ARMED = read(settings.FAILPOINT)


def reach(place: str) -> None:
    """This place is passed."""
    if ARMED is not None and ARMED.meets(place):
        ARMED.act()


def before_commit(verb: str, done: object) -> None:
    """All that a verb writes is written, in a transaction that is still open; `done` is what it will return."""
    if ARMED is not None and _wrote(verb, done):
        reach(f"before_{verb.lstrip('_')}_commit")
        reach("before_any_commit")


def after_commit(verb: str, done: object) -> None:
    """What a verb wrote is committed, unless it was called inside another transaction."""
    if ARMED is not None and _wrote(verb, done) and not connection.in_atomic_block:
        reach(f"after_{verb.lstrip('_')}_commit")
        reach("after_any_commit")


def _wrote(verb: str, done: object) -> bool:
    """A claim that found nothing due has nothing to commit."""
    return bool(done) or verb != "claim"
