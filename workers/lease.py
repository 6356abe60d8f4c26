"""Keeps this worker's claims alive, and ends a run whose claim is lost: author's code never outlives its ownership.

One thread a process renews all leases in one statement, on its own connection, four times a lease; the author's code plays no
part in it. A lease counts from the moment its renewal was *sent*. No row back: the claim is lost, its sandbox is killed.
No database for a lease less its margin: the sandbox is frozen, and the first answer decides whether it thaws or ends.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import DatabaseError, InterfaceError, connection

from executions import queries, transitions
from executions.states import State
from executions.transitions import Claim

if TYPE_CHECKING:
    from workers.runtimes.base import Sandbox

logger = logging.getLogger(__name__)

LOOK_EVERY = 1.0  # seconds between looks for cancels
CANCEL_GRACE = 10.0


class Hold:
    """One claim while this process works on it: its sandbox, and what has become of the claim."""

    def __init__(self, claim: Claim, *, tick: Callable[[], None]) -> None:
        self.claim = claim
        self.is_lost = self.is_cancelled = self.is_released = False
        self.renewed = time.monotonic()
        self._tick = tick
        self._sandbox: Sandbox | None = None
        self._frozen = False
        self._lock = threading.Lock()

    def take(self, sandbox: Sandbox) -> None:
        """The sandbox stands; what was decided while it was made is done to it now."""
        with self._lock:
            self._sandbox = sandbox
            if self.is_lost or self.is_released:
                sandbox.end()
            elif self.is_cancelled:
                sandbox.stop(grace=CANCEL_GRACE)

    def tick(self) -> None:
        """Once a second: whatever the run has kept back for its card is told."""
        self._tick()

    def lose(self) -> None:
        with self._lock:
            self.is_lost = True
            if self._sandbox:
                self._sandbox.end()

    def release(self) -> None:
        """The worker is draining and will not wait any longer."""
        with self._lock:
            self.is_released = True
            if self._sandbox:
                self._sandbox.end()

    def cancel(self) -> None:
        with self._lock:
            if self.is_cancelled:
                return
            self.is_cancelled = True
            if self._sandbox:
                self._sandbox.stop(grace=CANCEL_GRACE)

    def freeze(self) -> None:
        with self._lock:
            if self._sandbox and not self._frozen:
                self._frozen = True
                self._sandbox.freeze()

    def thaw(self) -> None:
        with self._lock:
            if self._sandbox and self._frozen:
                self._frozen = False
                self._sandbox.thaw()


class Keeper:
    """The thread that keeps every hold of this process."""

    def __init__(self, *, lease: timedelta) -> None:
        self._renew_every = lease.total_seconds() / 4
        self._patience = lease.total_seconds() * 5 / 6
        self._holds: dict[Claim, Hold] = {}
        self._lock = threading.Lock()
        self._wanted = threading.Event()
        self._renewed = time.monotonic()
        threading.Thread(target=self._work, name="keeper", daemon=True).start()

    @contextmanager
    def keep(self, claim: Claim, *, tick: Callable[[], None]) -> Iterator[Hold]:
        """Keep a claim alive as long as the block runs."""
        hold = Hold(claim, tick=tick)
        with self._lock:
            self._holds[claim] = hold
        self._wanted.set()
        try:
            yield hold
        finally:
            with self._lock:
                del self._holds[claim]

    def holds(self) -> list[Hold]:
        with self._lock:
            return list(self._holds.values())

    def _work(self) -> None:
        while True:
            self._wanted.wait()
            time.sleep(min(LOOK_EVERY, self._renew_every))
            holds = self.holds()
            if not holds:
                self._wanted.clear()
                if self.holds():  # one came between the look and the clear
                    self._wanted.set()
                continue
            self._keep(holds)

    def _keep(self, holds: list[Hold]) -> None:
        sent = time.monotonic()
        renews = sent - min(hold.renewed for hold in holds) >= self._renew_every
        claims = [hold.claim for hold in holds]
        try:
            states = transitions.renew(claims) if renews else queries.holding(claims)
        except (DatabaseError, InterfaceError) as error:
            self._endure(holds, error)
            return
        for hold in holds:
            state = states.get(hold.claim.execution_id)
            if state is None:
                self._missing(hold)
                continue
            if renews:
                hold.renewed = sent
            hold.thaw()
            if state == State.CANCELLING:
                hold.cancel()
            hold.tick()

    def _missing(self, hold: Hold) -> None:
        if hold.claim in self._holds:  # a run that has just ended holds nothing either, and is right
            hold.lose()

    def _endure(self, holds: list[Hold], error: Exception) -> None:
        logger.warning("the database cannot be reached, leases are not renewed: %s", error)
        with suppress(Exception):
            connection.close()
        for hold in holds:
            if time.monotonic() - hold.renewed > self._patience:
                hold.freeze()
