"""Steps with options: tried again and limited in time where they stand, inside one attempt.

What is tried again here costs none of the task's own retries and keeps its worker; the task's policy is for longer troubles.
"""

from __future__ import annotations

import time

from .context import current
from .errors import Fatal, Misuse
from .limit import limited, limited_async
from .verbs import Moment, is_async, log, seconds_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta
    from typing import Any

LONGEST_INTERVAL = 300.0  # seconds
POLICIES = ("fail", "use")


class Options:
    """How steps are run: `runboard.options(max_retries=3, timeout=10).step("charge", charge, order)`."""

    def __init__(
        self, *, max_retries: int, retry_interval: float, backoff_multiplier: float, timeout: float | None, policy: str
    ) -> None:
        self.max_retries, self.retry_interval, self.backoff_multiplier = max_retries, retry_interval, backoff_multiplier
        self.timeout, self.policy = timeout, policy

    def step(self, key: str, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """`runboard.step` with these options. Every try has the same `context.idempotency_key`.

        Any Exception but Fatal and Misuse is tried again; the last one is raised. A try that takes longer than `timeout`
        is interrupted with StepTimeout, as `limit` says.
        """
        if is_async(function):
            return self._step_async(key, function, args, named)
        moment = Moment(current(), key, args, named, policy=self.policy)
        if moment.entry is not None:
            return moment.entry["value"]
        with moment:
            return moment.record(self._insist(moment, lambda: function(*args, **named)))

    async def _step_async(self, key: str, function: Callable[..., Any], args: Any, named: Any) -> Any:
        moment = Moment(current(), key, args, named, policy=self.policy)
        if moment.entry is not None:
            return moment.entry["value"]
        with moment:
            return moment.record(await self._insist_async(moment, lambda: function(*args, **named)))

    def _insist(self, moment: Moment, work: Callable[[], Any]) -> Any:
        retries = 0
        while True:
            try:
                return limited(work, seconds=self.timeout, line=moment.run.line, what=f"step “{moment.key}”")
            except Exception as error:
                wait = self._wait(moment, error, retries)
            retries += 1
            time.sleep(wait)

    async def _insist_async(self, moment: Moment, work: Callable[[], Any]) -> Any:
        import asyncio

        retries = 0
        while True:
            try:
                return await limited_async(work, seconds=self.timeout, what=f"step “{moment.key}”")
            except Exception as error:
                wait = self._wait(moment, error, retries)
            retries += 1
            await asyncio.sleep(wait)

    def _wait(self, moment: Moment, error: Exception, retries: int) -> float:
        """Seconds until the next try, told in the log. Raises the error where there is none."""
        if retries >= self.max_retries or isinstance(error, (Fatal, Misuse)):
            raise error
        try:
            wait = min(LONGEST_INTERVAL, self.retry_interval * self.backoff_multiplier**retries)
        except OverflowError:
            wait = LONGEST_INTERVAL
        words = f"{type(error).__name__}: {error}"
        log.warning(
            f"step “{moment.key}” failed, again in {wait:g} s (retry {retries + 1} of {self.max_retries}): {words}"
        )
        return wait


def options(
    *,
    max_retries: int = 0,
    retry_interval: float | timedelta = 1.0,
    backoff_multiplier: float = 2.0,
    timeout: float | timedelta | None = None,
    on_diverged: str = "fail",
) -> Options:
    """Options for steps: tried again after retry_interval × backoff_multiplier^n seconds (at most 300), `timeout` a try.

    `on_diverged` says what to do where the record of a step was made with another input: fail, or use the record.
    """
    if not isinstance(max_retries, int) or isinstance(max_retries, bool) or max_retries < 0:
        raise Misuse(f"max_retries is a number from 0, not {max_retries!r:.80}")
    if not isinstance(backoff_multiplier, (int, float)) or not 1 <= backoff_multiplier <= LONGEST_INTERVAL:
        raise Misuse(f"backoff_multiplier is a number from 1 to {LONGEST_INTERVAL:g}, not {backoff_multiplier!r:.80}")
    if on_diverged not in POLICIES:
        raise Misuse(f"on_diverged is fail or use, not {on_diverged!r:.80}")
    limit = None if timeout is None else seconds_of(timeout, "a timeout")
    if limit == 0:
        raise Misuse("a timeout is more than 0 seconds")
    return Options(
        max_retries=max_retries,
        retry_interval=seconds_of(retry_interval, "retry_interval"),
        backoff_multiplier=backoff_multiplier,
        timeout=limit,
        policy=on_diverged,
    )
