"""Try again? When? Pure: given how an attempt ended and what it has cost so far, says what follows.

Three budgets that are never mixed: `retries` for errors the author calls retryable, `losses` for workers lost and resources
exhausted, `environment_failures` for sandboxes that could not be made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from executions.states import Reason, State
from tasks.policy import RetryPolicy

CRASH_BUDGET = 3
CRASH_INTERVAL = 1.0
ENVIRONMENT_BUDGET = 3
ENVIRONMENT_INTERVAL = 1.0
RESOURCES_DELAY = timedelta(seconds=2)


class Category(StrEnum):
    """How an attempt failed (the table of `3-executor.md`)."""

    ERROR = "error"
    OUTPUT_INVALID = "output_invalid"
    ENVIRONMENT = "environment"
    TIMEOUT = "timeout"
    RESOURCES = "resources"
    LOST = "worker_lost"


@dataclass(frozen=True, slots=True)
class Spent:
    """What the budgets have paid for so far."""

    retries: int = 0
    losses: int = 0
    environment_failures: int = 0
    crashes: int = 0  # attempts whose worker was lost before, whether they counted or not


@dataclass(frozen=True, slots=True)
class Again:
    """Another attempt after `delay`; `budget` is the counter that pays for it."""

    delay: timedelta
    budget: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The end: the final state, why, and the error as it is kept."""

    state: State
    reason: Reason
    error: Mapping[str, Any]


def decide(
    category: Category, error: Mapping[str, Any], *, policy: RetryPolicy, spent: Spent, chance: float
) -> Again | GiveUp:
    """What follows an attempt that failed with `error`; `chance` in [0, 1) is the jitter's luck."""
    match category:
        case Category.TIMEOUT:
            return GiveUp(State.TIMED_OUT, Reason.TIMEOUT, error)
        case Category.OUTPUT_INVALID:
            return GiveUp(State.FAILED, Reason.OUTPUT_INVALID, error)
        case Category.ENVIRONMENT:
            return _environment(error, spent)
        case Category.LOST:
            return _crash(error, spent, Reason.RECOVERED, Reason.WORKER_LOST, apart(spent.crashes, chance=chance))
        case Category.RESOURCES:
            return _crash(error, spent, Reason.RESOURCES, Reason.RESOURCES, RESOURCES_DELAY)
        case Category.ERROR:
            return _error(error, policy, spent, chance)


def delay(policy: RetryPolicy, *, retries: int, chance: float) -> timedelta:
    """interval × multiplier^retries (retries from 0), capped, then spread by ± jitter."""
    exact = min(policy.retry_interval * policy.backoff_multiplier ** min(retries, 64), policy.max_interval)
    return timedelta(seconds=exact * (1 + policy.jitter * (2 * chance - 1)))


def apart(crashes: int, *, chance: float) -> timedelta:
    """No delay after the first lost worker; after the next ones a random one, up to interval × 2^crashes (at most 2).

    Work that kills its worker takes what runs beside it along. Claimed again together, they would meet until all had spent
    their budgets; spread, only the one that kills comes to its end.
    """
    return timedelta(seconds=CRASH_INTERVAL * 2 ** min(crashes, 2) * chance if crashes else 0)


def is_retryable(error: Mapping[str, Any], policy: RetryPolicy) -> bool:
    """The author's own word counts first, then the policy's list of error types."""
    return bool(error.get("retryable")) or error.get("type") in policy.retryable_errors


def _error(error: Mapping[str, Any], policy: RetryPolicy, spent: Spent, chance: float) -> Again | GiveUp:
    if not is_retryable(error, policy):
        return GiveUp(State.FAILED, Reason.ERROR, error)
    if spent.retries < policy.max_retries:
        return Again(delay(policy, retries=spent.retries, chance=chance), "retries", Reason.RETRY)
    gave_up = f"Gave up after {policy.max_retries + 1} tries. The last error: {error.get('message', '')}"
    wrapped = {**error, "type": "MaxRetriesExceeded", "message": gave_up, "last_error": dict(error)}
    return GiveUp(State.FAILED, Reason.GAVE_UP, wrapped)


def _environment(error: Mapping[str, Any], spent: Spent) -> Again | GiveUp:
    if spent.environment_failures < ENVIRONMENT_BUDGET:
        wait = ENVIRONMENT_INTERVAL * 2**spent.environment_failures
        return Again(timedelta(seconds=wait), "environment_failures", Reason.ENVIRONMENT)
    return GiveUp(State.FAILED, Reason.ENVIRONMENT, error)


def _crash(error: Mapping[str, Any], spent: Spent, again: Reason, over: Reason, wait: timedelta) -> Again | GiveUp:
    if spent.losses < CRASH_BUDGET:
        return Again(wait, "losses", again)
    return GiveUp(State.FAILED, over, error)
