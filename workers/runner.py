"""One attempt: claim → run → tell. And the slots that do it, which are this process's only limit.

A slot is a thread of its own that takes due work until there is none. Whatever thinks that work may be due (a wake-up, the
process's own look every few seconds) wakes a slot and never waits; so slots are never exceeded, and a worker started
without Redis works.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any

from django.db import connection
from django.utils import timezone

from executions import failpoints, queries, transitions
from executions.states import Reason
from executions.transitions import Category, Claim, Refused, Stale
from tasks.policy import Limits, Security
from tasks.schema import problems
from tasks.sdk.canonical import encode
from workers.desk import Desk
from workers.insist import insist
from workers.lease import Hold, Keeper
from workers.runtimes.base import EnvironmentFailed, EnvironmentUnavailable, Exit, Memo, Order, Sandbox
from workers.runtimes.choose import choose
from workers.teller import Teller

logger = logging.getLogger(__name__)

EXHAUSTED = {
    "memory": "used more memory than its limit",
    "disk": "wrote more than its disk limit",
    "inodes": "made more files than it may",
    "output": "sent more frames than it may",
}

KNOWN_VERSIONS = 64

Prepare = Callable[[Order], Sandbox]


class Runner:
    """Runs claims in sandboxes and tells the door what they say."""

    def __init__(self, *, prepare: Prepare, keeper: Keeper) -> None:
        self._prepare, self._keeper = prepare, keeper
        self._desk = Desk()
        self._version = lru_cache(maxsize=KNOWN_VERSIONS)(queries.version)

    def run(self, claim: Claim) -> None:
        """One attempt, from its claim to what follows; afterwards nothing of it is left in this process."""
        try:
            self._run(claim)
        except Stale as stale:
            logger.info("stale: %s", stale)
        except Refused as refused:
            logger.warning("refused: %s", refused)

    def _run(self, claim: Claim) -> None:
        work = insist(lambda: queries.work(claim, of_version=self._version))
        if wrong := problems(work.input_schema, work.input):
            told = [{"pointer": problem.pointer, "message": problem.message} for problem in wrong]
            self._reject(claim, Reason.INPUT_INVALID, "InputInvalid", "The input does not fit the task.", errors=told)
            return
        order = order_of(work)
        choice = choose(order)
        teller = Teller(claim)
        with self._keeper.keep(claim, tick=teller.flush) as hold:
            try:
                failpoints.reach("before_spawn")
                sandbox = self._prepare(order)
            except EnvironmentUnavailable as unavailable:
                self._reject(claim, Reason.ENVIRONMENT, "EnvironmentUnavailable", str(unavailable))
                return
            except EnvironmentFailed as failed:
                error = {"type": "EnvironmentFailed", "message": str(failed)}
                fail(claim, Category.ENVIRONMENT, error)
                return
            hold.take(sandbox)
            try:
                teller.listen(sandbox, choice)
            finally:
                ended = sandbox.close()
            conclude(claim, hold, teller, ended, limits=order.limits, output_schema=work.output_schema, desk=self._desk)

    def _reject(self, claim: Claim, reason: Reason, kind: str, message: str, **more: Any) -> None:
        error = {"type": kind, "message": message, **more}
        insist(lambda: transitions.reject(claim, reason_code=reason, error=error, now=timezone.now()))


def conclude(
    claim: Claim, hold: Hold, teller: Teller, ended: Exit, *, limits: Limits, output_schema: dict[str, Any], desk: Desk
) -> None:
    """Say how the attempt ended, once: what really happened wins over what was asked for."""
    if teller.is_suspended or hold.is_lost:
        return
    value = teller.output.value if teller.output else None
    wrong = problems(output_schema, value)
    failure = failed(teller, ended, limits)
    if failure is None and ended.is_clean and not wrong:
        finished = teller.finished(encode(value).decode())
        if finished is not None and desk.complete(finished):
            return
    with suppress(Stale):  # stopped before its start was told: how it ended counts all the same
        teller.tell_start()
    if (hold.is_cancelled or teller.is_stopped) and not ended.is_clean:
        insist(lambda: transitions.stopped(claim, now=timezone.now()))
    elif hold.is_released and not ended.is_clean:
        insist(lambda: transitions.release(claim, now=timezone.now()))
    elif failure:
        fail(claim, *failure)
    elif wrong:
        told = [{"pointer": problem.pointer, "message": problem.message} for problem in wrong]
        error = {"type": "OutputInvalid", "message": "The output does not fit the task.", "errors": told}
        fail(claim, Category.OUTPUT_INVALID, error)
    else:
        insist(lambda: transitions.complete(claim, output=value, now=timezone.now()))


def failed(teller: Teller, ended: Exit, limits: Limits) -> tuple[Category, dict[str, Any]] | None:
    """How an attempt failed, or None where it did not. Pure; what we know best comes first."""
    return _by_limits(ended, limits) or _by_words(teller, ended) or _by_exit(ended)


def _by_limits(ended: Exit, limits: Limits) -> tuple[Category, dict[str, Any]] | None:
    if ended.cause == "timeout":
        message = f"It ran longer than its {limits.timeout_seconds:g} s (limits.timeout_seconds) and was ended."
        return Category.TIMEOUT, {"type": "TimedOut", "message": message}
    if ended.cause in EXHAUSTED:
        message = f"It {EXHAUSTED[ended.cause]} and was ended."
        return Category.RESOURCES, {"type": "ResourceExhausted", "message": message, "resource": ended.cause}
    return None


def _by_words(teller: Teller, ended: Exit) -> tuple[Category, dict[str, Any]] | None:
    if not ended.said_hello:
        message = f"The sandbox never came up. {ended.words}".strip()
        return Category.ENVIRONMENT, {"type": "EnvironmentFailed", "message": message}
    if teller.error is not None:
        return Category.ERROR, teller.error
    if ended.violation:
        return Category.ERROR, {"type": "ProtocolError", "message": ended.violation}
    return None


def _by_exit(ended: Exit) -> tuple[Category, dict[str, Any]] | None:
    if ended.signal is not None:
        name = signal.Signals(ended.signal).name if ended.signal in set(signal.Signals) else f"signal {ended.signal}"
        message = f"The code was ended by {name}, which Runboard did not send."
        return Category.LOST, {"type": "RuntimeError", "message": message}
    if not ended.is_clean:
        return Category.ERROR, {"type": "RuntimeError", "message": f"The code ended with exit code {ended.code}."}
    return None


def fail(claim: Claim, category: Category, error: dict[str, Any]) -> None:
    insist(lambda: transitions.fail(claim, category=category, error=error, now=timezone.now()))


def order_of(work: queries.Work) -> Order:
    """The same, told to a runtime."""
    return Order(
        execution=work.execution,
        attempt=work.attempt,
        task=work.task,
        kind=work.kind,
        runtime=work.runtime,
        source=work.source,
        handler=work.handler,
        input=work.input,
        memo=tuple(Memo(r.key, r.occurrence, r.kind, r.input_hash, r.value) for r in work.recorded),
        limits=Limits.read(work.limits),
        security=Security.read(work.security),
        environment_variables=work.environment_variables,
    )


class Slots:
    """The slots of this process: `count` threads that run one claim each until nothing is due.

    Guarantee: never more claims are held, asked for or handed over than there are slots. A slot that looks asks for as many as
    are free, itself included, and hands what it gets beyond its own to the others.
    """

    def __init__(self, *, count: int, claim: Callable[[int], list[Claim]], run: Callable[[Claim], None]) -> None:
        self._claim, self._run, self._count = claim, run, count
        self._free = count
        self._woken = 0
        self._looked = time.monotonic()
        self._handed: deque[Claim] = deque()
        self._draining = False
        self._changed = threading.Condition()
        for slot in range(count):
            threading.Thread(target=self._work, args=(slot,), name=f"slot-{slot}", daemon=True).start()

    def wake(self, *, times: int = 1) -> None:
        """Something may be due. Never more wakings wait than there are slots."""
        with self._changed:
            self._woken = min(self._woken + times, self._count)
            self._changed.notify(times)

    def drain(self) -> None:
        """Take nothing new from now on."""
        with self._changed:
            self._draining = True
            self._changed.notify_all()

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
                self._changed.wait_for(lambda: self._handed or (self._woken and self._free and not self._draining))
                claim = self._handed.popleft() if self._handed else None
                if claim is None:
                    self._woken -= 1
            try:
                self._until_nothing_is_due(self._look(mine=0) if claim is None else claim)
            except Exception:
                logger.exception("slot %s could not work; it looks again soon", slot)
                connection.close()

    def _until_nothing_is_due(self, claim: Claim | None) -> None:
        while claim is not None:
            try:
                self._run(claim)
            except BaseException:
                self._give_back(1)
                raise
            claim = self._look(mine=1)

    def _look(self, *, mine: int) -> Claim | None:
        """Claim for this slot, which holds `mine` places, and for all that are free; its own claim, the others handed over."""
        with self._changed:
            self._looked = time.monotonic()
            asked, self._free = mine + self._free, 0
            if self._draining:
                self._free = asked
                self._changed.notify_all()
                return None
        got: list[Claim] = []
        try:
            got = self._claim(asked) if asked else []
        finally:
            self._handed.extend(got[1:])
            self._give_back(asked - len(got))
        return got[0] if got else None

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
