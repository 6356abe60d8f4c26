"""complete, fail, reject, stopped: how an attempt ends, and whether the execution ends with it.

Guarantee: one outcome. Each verb matches the row only while the claim holds it, so the first end wins; the database keeps
at most one final event an execution. What follows a failure is decided by `retry`, purely; here it is done.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from executions.models import Attempt, Claim, Execution, Question
from executions.retry import Again, Category, GiveUp, Spent, decide
from executions.states import HELD, Reason, State
from executions.transitions.moving import by_claim, held, move, resumed, stale, verb
from tasks.policy import RetryPolicy
from tasks.sdk.canonical import encode

LONGEST_ERROR = 64 * 1024


@verb
def complete(claim: Claim, *, output: Any, now: datetime) -> None:
    """The author's code returned and its output is valid."""
    by_claim(claim, State.COMPLETED, kind="completed", now=now, output=encode(output).decode(), progress=1.0,
             error=None)  # fmt: skip
    close_attempt(claim.execution_id, "completed", now=now)


@verb
def fail(claim: Claim, *, category: Category, error: Mapping[str, Any], now: datetime) -> None:
    """The attempt failed with `error` {type, message, stack?, retryable?}: again by the budgets, or the end."""
    found = held(claim).lean().select_related("task_version").select_for_update(of=("self",)).filter(
        pk=claim.execution_id
    ).first() or stale(claim)
    follow(found, category, {**error, "category": category}, now=now, actor=claim.actor, kind="attempt_failed",
           data={"attempt": claim.attempt})  # fmt: skip


@verb
def reject(claim: Claim, *, reason_code: Reason, error: Mapping[str, Any], now: datetime) -> None:
    """It never ran: its input does not fit, or no sandbox may run it here."""
    by_claim(claim, State.REJECTED, kind="rejected", now=now, reason=str(error.get("message", "")),
             reason_code=reason_code, error=_kept(error), data=_brief(error))  # fmt: skip
    close_attempt(claim.execution_id, "rejected", now=now, error=error)


@verb
def stopped(claim: Claim, *, now: datetime) -> None:
    """A cancel was carried out: the sandbox has ended, and that was seen."""
    by_claim(claim, State.CANCELLED, kind="cancelled", now=now, reason_code=Reason.BY_PERSON)
    close_attempt(claim.execution_id, "cancelled", now=now)


def follow(
    found: Execution,
    category: Category,
    error: Mapping[str, Any],
    *,
    now: datetime,
    actor: str,
    kind: str,
    data: Mapping[str, Any],
) -> None:
    """Do what `retry` decides about a locked, held execution whose attempt ended with `error`, in one transaction."""
    spent = Spent(found.retries, found.losses, found.environment_failures)
    policy = RetryPolicy.read(found.task_version.retry)
    decided = decide(category, error, policy=policy, spent=spent, chance=random.random())  # noqa: S311 — jitter
    close_attempt(found.pk, _outcome(category), now=now, error=error)
    if isinstance(decided, GiveUp) or found.state == State.CANCELLING:
        give_up(found, decided, error, now=now, actor=actor)
    else:
        _again(found, decided, error, now=now, actor=actor, kind=kind, data=data)


def give_up(
    found: Execution, decided: GiveUp | Again, error: Mapping[str, Any], *, now: datetime, actor: str
) -> Execution | None:
    """End what cannot be tried again. While a cancel is under way nothing is tried again: it ends as it happened."""
    if isinstance(decided, Again):
        decided = GiveUp(State.FAILED, Reason.ERROR, error)
    return move(
        Execution.objects.filter(token=found.token),
        found.pk,
        decided.state,
        kind=decided.state,
        now=now,
        actor=actor,
        reason=str(decided.error.get("message", "")),
        reason_code=decided.reason,
        sources=HELD,
        error=_kept(decided.error),
        data=_brief(decided.error),
        token=found.token + 1,
    )


def close_attempt(pk: UUID, outcome: str, *, now: datetime, error: Mapping[str, Any] | None = None) -> None:
    """The open attempt of an execution ends; none is open afterwards."""
    kept = _kept(error) if error else None
    Attempt.objects.filter(execution=pk, outcome="").update(outcome=outcome, finished_at=now, error=kept)


def withdraw_questions(pk: UUID) -> None:
    """Nobody needs the answer any more."""
    Question.objects.filter(execution=pk, state=Question.State.OPEN).update(state=Question.State.WITHDRAWN)


def _again(
    found: Execution,
    decided: Again,
    error: Mapping[str, Any],
    *,
    now: datetime,
    actor: str,
    kind: str,
    data: Mapping[str, Any],
) -> None:
    """Back into the queue, paid for by its budget; a delay is a due time in the database and holds no slot."""
    due = now + decided.delay if decided.delay else None
    counts = decided.budget != "losses" or category_of(error) != Category.LOST or found.state == State.RUNNING
    told = {**data, **_brief(error), "budget": decided.budget, "delay": decided.delay.total_seconds()}
    if due is not None:
        told["available_at"] = due.isoformat()
    move(
        Execution.objects.filter(token=found.token),
        found.pk,
        State.RESUMING,
        kind="retry_scheduled" if decided.budget == "retries" else kind,
        now=now,
        actor=actor,
        reason=str(error.get("message", "")),
        reason_code=decided.reason,
        sources=HELD,
        error=_kept(error),
        data=told,
        token=found.token + 1,
        **{decided.budget: getattr(found, decided.budget) + counts},
        **resumed(now, priority=found.priority, at=due),
    )


def category_of(error: Mapping[str, Any]) -> str:
    return str(error.get("category", ""))


def _outcome(category: Category) -> str:
    return {Category.LOST: "lost", Category.TIMEOUT: "timed_out"}.get(category, "failed")


def _kept(error: Mapping[str, Any]) -> str:
    """An error as it is stored: long texts shortened, so that a hostile message cannot fill the table."""
    return encode({name: _short(value) for name, value in error.items()}).decode()


def _short(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _short(inner) for name, inner in value.items()}
    text = value if isinstance(value, str) else None
    if text is None:
        return value
    clean = text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
    return clean if len(clean) <= LONGEST_ERROR else clean[:LONGEST_ERROR] + " … shortened"


def _brief(error: Mapping[str, Any]) -> dict[str, Any]:
    """What an event tells of an error; the whole of it stands in the row."""
    return {"error": {"type": error.get("type", ""), "message": str(_short(str(error.get("message", ""))))[:2000]}}
