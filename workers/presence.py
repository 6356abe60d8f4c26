"""A worker's life: it takes its name, enlists, beats, works, drains.

The name is locked on this machine, so the next life of a name knows that the last one is over and takes back at once what it
held; work goes on before Celery has even connected to Redis.
"""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.text import get_valid_filename

from executions import queries, transitions
from executions.queries import Work
from workers import checkup, slots
from workers.dispatch import queue_name
from workers.insist import insist
from workers.lease import Keeper
from workers.runner import Runner
from workers.runtimes import Runtimes
from workers.runtimes.actions import registered
from workers.runtimes.bwrap import SOURCES

logger = logging.getLogger(__name__)

WATCHED = {"postgresql": 20, "sqlite": 60}  # seconds; a query that waits for a lock waits 10, or 30 for SQLite's file
LOOK_EVERY = 5.0  # seconds between an idle worker's own looks for due work
AHEAD = 8  # claims a slot, of work that is over in a moment
LATE = 0.5  # seconds in which no slot has come to take what was claimed ahead
STUCK_AFTER = 60.0  # seconds in which woken slots have not even looked


def work(*, name: str, queues: Sequence[str], slots: int, labels: Mapping[str, str]) -> None:
    """Run a worker until SIGTERM or SIGINT; with no queues named it serves every queue there is."""
    lock = take_name(name)
    runtimes = Runtimes(owner=f"{settings.HOME} {name}", actions=settings.ACTIONS, slots=slots)
    worker = Living(name=name, queues=tuple(queues), slots=slots, labels=dict(labels), runtimes=runtimes)
    try:
        worker.begin()
        worker.listen()
    finally:
        worker.finish()
        runtimes.close()
        lock.close()


def take_name(name: str) -> IO[str]:
    """Lock a name on this machine for as long as the returned file stays open; a living namesake ends this process."""
    path = Path(settings.HOME) / "workers" / f"{get_valid_filename(name)}.lock"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = path.open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"A worker named “{name}” is running on this machine already; give this one another --name.")
    return lock


def offers(modules: Sequence[str]) -> list[str]:
    """What a worker with these modules of registered actions can run: `python`, `shell`, `action:<handler>`, …"""
    actions = registered(modules)
    for problem in actions.problems:
        logger.error("%s", problem)
    return [*SOURCES, *(f"action:{name}" for name in sorted(actions.functions))]


@dataclass
class Living:
    """One incarnation of a named worker."""

    name: str
    queues: tuple[str, ...]
    slots: int
    labels: dict[str, str]
    runtimes: Runtimes
    incarnation: int = 0
    _silent: int = 0
    _unheard: set[tuple[UUID, int]] = field(default_factory=set)

    def begin(self) -> None:
        """Enlist and start working: after this, due executions run even if Redis never answers."""
        self._probe = self.runtimes.open()
        if not self._probe.ok:
            logger.error("scripts will be rejected: %s", self._probe.problem)
        self._offered = offers(settings.ACTIONS)
        self._enlist()
        for problem in checkup.problems():
            logger.warning("%s", problem)
        self._keeper = Keeper(lease=settings.LEASE)
        self._runner = Runner(prepare=self.runtimes.prepare, keeper=self._keeper)
        self._slots = slots.Slots(count=self.slots, claim=self._claim, run=self._runner.run)
        slots.serve(self._slots)
        threading.Thread(target=self._live, name="presence", daemon=True).start()
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def listen(self) -> None:
        """Hear wake-ups until told to stop. Celery's only thread wakes slots; SIGTERM ends its loop, not the runs."""
        from celery.signals import worker_shutting_down

        app = import_string(settings.WAKE_UP_APP)
        worker_shutting_down.connect(self._drain, weak=False)
        listener: Any = app.Worker(
            hostname=f"{self.name}@{socket.gethostname()}",
            pool="threads",
            concurrency=1,
            queues=[queue_name(queue) for queue in self._served],
            loglevel="WARNING",
            quiet=True,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        self._app, self._hostname = app, listener.hostname
        listener.start()

    def finish(self) -> None:
        """Let the runs under way end, for a while; give back what has not."""
        if not self.incarnation:
            return
        self._drain()
        patience = float(settings.DRAIN_TIMEOUT)
        if not self._slots.wait_idle(patience):
            for hold in self._keeper.holds():
                hold.release()
            self._slots.wait_idle(5.0)
        self._runner.desk.wait_empty(5.0)
        with suppress(DatabaseError, InterfaceError):  # while it is away, the lease says the same a little later
            transitions.retire(self.name, incarnation=self.incarnation, now=timezone.now())

    def _enlist(self) -> None:
        self._served = self.queues or tuple(queries.queue_names())
        self.incarnation = insist(
            lambda: transitions.enlist(
                self.name,
                host=socket.gethostname(),
                pid=os.getpid(),
                slots=self.slots,
                queues=self._served,
                labels=self.labels,
                offers=self._offered,
                sandbox=self._probe.driver if self._probe.ok else "",
                sandbox_problem=self._probe.problem,
                now=timezone.now(),
            )
        )
        logger.info("%s, life %s: %s slots for %s", self.name, self.incarnation, self.slots, ", ".join(self._served))

    def _claim(self, most: int) -> list[Work]:
        claims = transitions.claim(
            self.name,
            incarnation=self.incarnation,
            queues=self._served,
            offers=self._offers(),
            now=timezone.now(),
            most=most,
            ahead=AHEAD * self.slots,
            quick=self._runner.pace.quick(),
        )
        return self._runner.works(claims)

    def _offers(self) -> Sequence[str]:
        """Without a working sandbox, scripts are taken (and rejected with the reason) only where nobody else could run them."""
        if self._probe.ok or not queries.sandboxed_elsewhere(self._served, name=self.name):
            return self._offered
        return [offer for offer in self._offered if offer.startswith("action:")]

    def _live(self) -> None:
        """Beat, look for due work, notice new queues; a database that is away is waited for."""
        while True:
            try:
                if not transitions.beat(self.name, incarnation=self.incarnation, now=timezone.now()):
                    logger.error("another life of %s has begun: this one ends", self.name)
                    os.kill(os.getpid(), signal.SIGTERM)
                    return
                self._notice_queues()
                self._give_up_unheard()
                self._release(self._slots.late(LATE), reason="work before it took longer than it used to")
                self._slots.wake(times=self.slots)
                if self._slots.is_stuck(after=STUCK_AFTER):
                    logger.critical("slots of %s are free, woken, and do not look for work: this life ends", self.name)
                    os._exit(os.EX_SOFTWARE)
            except (DatabaseError, InterfaceError) as error:
                logger.warning("the database did not answer: %s", error)
                connection.close()
            self._silent = 0
            time.sleep(min(LOOK_EVERY, settings.LEASE.total_seconds() / 4))

    def _watch(self) -> None:
        """End this life where no look for work came back for WATCHED seconds: a line that died without a word answers never.

        Seconds are counted, not read from a clock, so that a process that was stopped for a while is not ended for it.
        """
        while self._silent < WATCHED[connection.vendor]:
            time.sleep(1)
            self._silent += 1
        logger.error("the database has not answered for %s s, and has not refused: this life ends", self._silent)
        os._exit(os.EX_TEMPFAIL)

    def _give_up_unheard(self) -> None:
        """Give back what this life holds and does not run: its claim was committed, and the answer was lost on the way."""
        running = {hold.claim.execution_id for hold in self._keeper.holds()}
        running |= {work.claim.execution_id for work in self._slots.waiting()}
        held = queries.held_by(self.name, incarnation=self.incarnation)
        unheard = {(pk, token) for pk, token in held.items() if pk not in running}
        for pk, token in unheard & self._unheard:  # at two looks in a row
            logger.warning("%s was claimed and its claim never heard of: given back", pk)
            transitions.reclaim(pk, token=token, now=timezone.now(), actor="system")
        self._unheard = unheard

    def _notice_queues(self) -> None:
        new = [] if self.queues else [name for name in queries.queue_names() if name not in self._served]
        if not new:
            return
        self._served = (*self._served, *new)
        transitions.serve(self.name, incarnation=self.incarnation, queues=self._served)
        if hasattr(self, "_app"):
            for queue in new:
                self._app.control.add_consumer(queue_name(queue), destination=[self._hostname])

    def _release(self, unbegun: Sequence[Work], *, reason: str) -> None:
        """Give back what was claimed and not begun."""
        for work in unbegun:
            insist(partial(transitions.release, work.claim, reason=reason, now=timezone.now()))

    def _drain(self, **_: Any) -> None:
        unbegun = self._slots.drain()
        with suppress(DatabaseError, InterfaceError):
            transitions.drain(self.name, incarnation=self.incarnation, now=timezone.now())
            self._release(unbegun, reason=f"{self.name} is draining")
