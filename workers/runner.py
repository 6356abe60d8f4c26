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
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from django.db import DatabaseError, InterfaceError, connection
from django.utils import timezone

from executions import failpoints, queries, transitions
from executions.states import Reason
from executions.transitions import Asked, Category, Claim, Refused, Stale
from tasks.policy import Limits, Security
from tasks.schema import problems
from tasks.sdk.protocol import Ask, Diverged, Error, Frame, Hello, Output, Progress, Step
from workers.lease import Hold, Keeper
from workers.runtimes.base import EnvironmentFailed, EnvironmentUnavailable, Exit, Lines, Memo, Order, Sandbox
from workers.runtimes.choose import Choice, choose

logger = logging.getLogger(__name__)

T = TypeVar("T")

CARD_EVERY = 0.5  # seconds between two changes of a card's live line
EXHAUSTED = {
    "memory": "used more memory than its limit",
    "disk": "wrote more than its disk limit",
    "inodes": "made more files than it may",
    "output": "sent more frames than it may",
}

Prepare = Callable[[Order], Sandbox]


class Runner:
    """Runs claims in sandboxes and tells the door what they say."""

    def __init__(self, *, prepare: Prepare, keeper: Keeper) -> None:
        self._prepare, self._keeper = prepare, keeper

    def run(self, claim: Claim) -> None:
        """One attempt, from its claim to what follows; afterwards nothing of it is left in this process."""
        try:
            self._run(claim)
        except Stale as stale:
            logger.info("stale: %s", stale)
        except Refused as refused:
            logger.warning("refused: %s", refused)

    def _run(self, claim: Claim) -> None:
        work = insist(lambda: queries.work(claim))
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
            conclude(claim, hold, teller, ended, limits=order.limits, output_schema=work.output_schema)

    def _reject(self, claim: Claim, reason: Reason, kind: str, message: str, **more: Any) -> None:
        error = {"type": kind, "message": message, **more}
        insist(lambda: transitions.reject(claim, reason_code=reason, error=error, now=timezone.now()))


class Teller:
    """Tells the door what one sandbox says, and keeps what only counts at the end: the output, or the error."""

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.output: Output | None = None
        self.error: dict[str, Any] | None = None
        self.is_suspended = self.is_stopped = False
        self._card = Card(claim)

    def listen(self, sandbox: Sandbox, choice: Choice) -> None:
        """Every frame until the sandbox ends, hands its execution over to a person, or says what the door refuses."""
        try:
            for frame in sandbox.frames():
                self._tell(frame, sandbox, choice)
                if self.is_suspended:
                    sandbox.end()
                    return
            self.flush(last=True)
        except Stale:
            self.is_stopped = True  # a cancel came first, or the claim is lost: the end will tell which
            sandbox.end()
        except Refused as refused:
            self.error = self.error or {"type": "Refused", "message": refused.message, "code": refused.code}
            sandbox.end()

    def flush(self, *, last: bool = False) -> None:
        """Show on the card what was kept back so as not to change it more than twice a second."""
        self._card.flush(last=last)

    def _tell(self, frame: Frame, sandbox: Sandbox, choice: Choice) -> None:
        now, claim = timezone.now(), self.claim
        match frame:
            case Hello():
                failpoints.reach("after_hello")
                insist(
                    lambda: transitions.start(
                        claim,
                        sandbox=sandbox.id,
                        method=sandbox.method,
                        driver=sandbox.driver,
                        choice=choice.why,
                        now=now,
                    )
                )
            case Lines():
                self._card.log(frame)
            case Progress():
                self._card.progress(frame)
            case Step():
                then = insist(
                    lambda: transitions.step(
                        claim,
                        key=frame.key,
                        occurrence=frame.occurrence,
                        input_hash=frame.input_hash,
                        value=frame.value,
                        seconds=frame.seconds,
                        now=now,
                    )
                )
                self.is_stopped = self.is_stopped or then == "stop"
                sandbox.ack(frame.key, frame.occurrence, then=then, why="" if then == "go" else "cancelled")
            case Diverged():
                self.error = self.error or _diverged(frame)
                sandbox.ack(frame.key, frame.occurrence, then="stop", why="diverged")
            case Ask():
                self.flush(last=True)
                insist(lambda: transitions.ask(claim, asked=_asked(frame), now=now))
                self.is_suspended = True
            case Output():
                self.output = self.output or frame
            case Error():
                self.error = self.error or {
                    "type": frame.type,
                    "message": frame.message,
                    "stack": frame.stack,
                    "retryable": frame.retryable,
                }


class Card:
    """What a run shows on its card: written at most twice a second, the newest last. Thread-safe: the keeper flushes too."""

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        self._lock = threading.Lock()
        self._told = 0.0
        self._progress: Progress | None = None
        self._message: str | None = None

    def log(self, batch: Lines) -> None:
        """Store lines now; the last of them reaches the card when it may change again."""
        rows = [(line.at, line.stream, line.level, line.text) for line in batch.lines]
        with self._lock:
            message = next((line.text for line in reversed(batch.lines) if line.text.strip()), None)
            shows = message is not None and self._progress is None and self._may_tell()
            insist(
                lambda: transitions.log(self._claim, lines=rows, message=message if shows else None, now=timezone.now())
            )
            self._message = None if shows else message or self._message
            self._flush()  # progress that waits is told with the line: lines alone would never let it through

    def progress(self, frame: Progress) -> None:
        with self._lock:
            self._progress, self._message = frame, None
            self._flush()

    def flush(self, *, last: bool = False) -> None:
        with self._lock:
            self._flush(last=last)

    def _flush(self, *, last: bool = False) -> None:
        if (self._progress is None and self._message is None) or not (self._may_tell() or last):
            return
        said = self._progress or Progress(0.0)
        fraction, line = said.fraction if self._progress else None, self._message or ""
        insist(
            lambda: transitions.progress(
                self._claim, fraction=fraction, message=said.message, line=line, now=timezone.now()
            )
        )
        self._progress = self._message = None

    def _may_tell(self) -> bool:
        if time.monotonic() - self._told < CARD_EVERY:
            return False
        self._told = time.monotonic()
        return True


def conclude(
    claim: Claim, hold: Hold, teller: Teller, ended: Exit, *, limits: Limits, output_schema: dict[str, Any]
) -> None:
    """Say how the attempt ended, once: what really happened wins over what was asked for."""
    if teller.is_suspended or hold.is_lost:
        return
    if (hold.is_cancelled or teller.is_stopped) and not ended.is_clean:
        insist(lambda: transitions.stopped(claim, now=timezone.now()))
    elif hold.is_released and not ended.is_clean:
        insist(lambda: transitions.release(claim, now=timezone.now()))
    elif failure := failed(teller, ended, limits):
        fail(claim, *failure)
    else:
        value = teller.output.value if teller.output else None
        if wrong := problems(output_schema, value):
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


def insist(say: Callable[[], T]) -> T:
    """Say it until the database has heard: a connection that broke is replaced. What the door refuses is not repeated."""
    for wait in (0.05, 0.2, 0.5, 1, 2, 2, 5, 5, 10, 10, 10, 10):
        try:
            return say()
        except (InterfaceError, DatabaseError) as error:
            if connection.in_atomic_block:
                raise
            logger.warning("the database did not answer, trying again: %s", error)
            connection.close()
            time.sleep(wait)
    return say()


def _asked(frame: Ask) -> Asked:
    return Asked(
        key=frame.key,
        occurrence=frame.occurrence,
        prompt=frame.prompt,
        kind=frame.kind,
        options=frame.options,
        schema=frame.schema,
        recommended=frame.recommended,
        deadline=datetime.fromtimestamp(frame.deadline, UTC) if frame.deadline is not None else None,
        default=frame.default,
        has_default=frame.has_default,
    )


def _diverged(frame: Diverged) -> dict[str, Any]:
    message = (
        f"“{frame.key}” was recorded as {frame.recorded} and is now {frame.met}: "
        "the code changed its mind between attempts, so what was recorded cannot be used."
    )
    return {"type": "StepDiverged", "message": message}


class Slots:
    """The slots of this process: `count` threads, each running one claim at a time until nothing is due."""

    def __init__(self, *, count: int, claim: Callable[[], Claim | None], run: Callable[[Claim], None]) -> None:
        self._claim, self._run, self._count = claim, run, count
        self._woken = 0
        self._busy = 0
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

    def wait_idle(self, timeout: float) -> bool:
        """Wait for the runs under way; False where some still go on."""
        with self._changed:
            return self._changed.wait_for(lambda: self._busy == 0, timeout)

    def _work(self, slot: int) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._woken and not self._draining)
                self._woken -= 1
                self._busy += 1
            try:
                self._until_nothing_is_due()
            except Exception:
                logger.exception("slot %s could not work; it looks again soon", slot)
                connection.close()
            finally:
                with self._changed:
                    self._busy -= 1
                    self._changed.notify_all()

    def _until_nothing_is_due(self) -> None:
        while not self._draining and (claim := self._claim()):
            self._run(claim)


_of_this_process: list[Slots] = []


def serve(slots: Slots) -> None:
    """These are the slots that this process's wake-ups wake."""
    _of_this_process[:] = [slots]


def wake() -> None:
    """A wake-up arrived."""
    for slots in _of_this_process:
        slots.wake()
