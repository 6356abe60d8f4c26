"""One attempt: claim → run → tell."""

from __future__ import annotations

import logging
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any

from django.utils import timezone

from executions import failpoints, queries, transitions
from executions.queries import Work
from executions.states import Reason
from executions.transitions import Category, Claim, Refused, Stale
from tasks.policy import Limits, Security, Timeouts
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
PROVEN = 20

Prepare = Callable[[Order], Sandbox]


class Runner:
    """Runs claims in sandboxes and tells the door what they say."""

    def __init__(self, *, prepare: Prepare, keeper: Keeper) -> None:
        self._prepare, self._keeper = prepare, keeper
        self.desk, self.pace = Desk(), Pace()
        self._version = lru_cache(maxsize=KNOWN_VERSIONS)(queries.version)

    def works(self, claims: Sequence[Claim]) -> list[Work]:
        """What these claims are to run."""
        return insist(lambda: queries.works(claims, of_version=self._version)) if claims else []

    def run(self, work: Work) -> None:
        """One attempt, from its claim to what follows; afterwards nothing of it runs in this process."""
        try:
            self._run(work)
        except Stale as stale:
            logger.info("stale: %s", stale)
        except Refused as refused:
            logger.warning("refused: %s", refused)

    def _run(self, work: Work) -> None:
        claim = work.claim
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
            was_quick = conclude(
                claim, hold, teller, ended, limits=order.limits, output_schema=work.output_schema, desk=self.desk
            )
        self.pace.note(work.requires, quick=was_quick)

    def _reject(self, claim: Claim, reason: Reason, kind: str, message: str, **more: Any) -> None:
        error = {"type": kind, "message": message, **more}
        insist(lambda: transitions.reject(claim, reason_code=reason, error=error, now=timezone.now()))


class Pace:
    """Which work is over in a moment, by how it went lately in this process: of that, a worker may claim ahead."""

    def __init__(self) -> None:
        self._runs: Counter[str] = Counter()

    def note(self, requires: str, *, quick: bool) -> None:
        """A run that was not over in a moment counts as much as half of those before it that were."""
        runs = self._runs[requires]
        self._runs[requires] = min(runs + 1, 2 * PROVEN) if quick else runs // 2

    def quick(self) -> list[str]:
        """What was over in a moment at PROVEN runs or more lately."""
        return [requires for requires, runs in list(self._runs.items()) if runs >= PROVEN]


def conclude(
    claim: Claim, hold: Hold, teller: Teller, ended: Exit, *, limits: Limits, output_schema: dict[str, Any], desk: Desk
) -> bool:
    """Say how the attempt ended, once: what really happened wins over what was asked for. Whether it was over in a moment."""
    if teller.is_suspended or hold.is_lost:
        return False
    value = teller.output.value if teller.output else None
    wrong = problems(output_schema, value)
    failure = failed(teller, ended, limits)
    if failure is None and ended.is_clean and not wrong:
        finished = teller.finished(encode(value).decode())
        if finished is not None:
            desk.hand_in(finished, otherwise=lambda: complete(teller, value))
            return True
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
        complete(teller, value)
    return False


def complete(teller: Teller, value: Any) -> None:
    """Tell of a good end, and first of the start where that is still to be told."""
    with suppress(Stale):
        teller.tell_start()
    insist(lambda: transitions.complete(teller.claim, output=value, now=timezone.now()))


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


def order_of(work: Work) -> Order:
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
        prepare_within=Timeouts.read(work.timeouts).prepare,
        security=Security.read(work.security),
        environment_variables=work.environment_variables,
    )
