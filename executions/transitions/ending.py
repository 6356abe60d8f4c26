"""complete, fail, reject, stopped: how an attempt ends, and whether the execution ends with it.

Guarantee: one outcome. Each verb matches the row only while the claim holds it, so the first end wins; the database keeps
at most one final event an execution. What follows a failure is decided by `retry`, purely; here it is done. Said twice
(the first commit was not heard of), an end counts once.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import F, QuerySet

from executions.models import Attempt, Claim, Execution, Question, Wait
from executions.retry import Again, Category, GiveUp, Spent, decide
from executions.states import HELD, Reason, State
from executions.transitions.children import child_ended
from executions.transitions.moving import ended_as, held, lock_parent, move, resumed, stale, verb
from tasks.policy import RetryPolicy
from tasks.sdk.canonical import encode

FREE_LOSSES = 3  # attempts whose worker was lost before the code was seen to begin
LONGEST_ERROR = 64 * 1024


@verb
def complete(claim: Claim, *, output: Any, now: datetime) -> None:
    """The author's code returned and its output is valid."""
    _end_by_claim(claim, State.COMPLETED, now=now, output=encode(output).decode(), progress=1.0, error=None)


@verb
def fail(claim: Claim, *, category: Category, error: Mapping[str, Any], now: datetime) -> None:
    """The attempt failed with `error` {type, message, stack?, retryable?}: again by the budgets, or the end."""
    _lock_parent(claim)
    mine = held(claim).lean().select_related("task_version").select_for_update(of=("self",))
    found = mine.filter(pk=claim.execution_id).first()
    if found is None:
        return None if ended_as(claim, _outcome(category)) else stale(claim)
    follow(found, category, {**error, "category": category}, now=now, actor=claim.actor, kind="attempt_failed",
           data={"attempt": claim.attempt})  # fmt: skip
    return None


@verb
def reject(claim: Claim, *, reason_code: Reason, error: Mapping[str, Any], now: datetime) -> None:
    """It never ran: its input does not fit, or no sandbox may run it here."""
    _end_by_claim(claim, State.REJECTED, now=now, failure=error, reason_code=reason_code)


@verb
def stopped(claim: Claim, *, now: datetime) -> None:
    """A cancel was carried out, for the reason that it was asked for: the sandbox has ended, and that was seen."""
    _end_by_claim(claim, State.CANCELLED, now=now, reason_code=F("reason_code"))


def end(
    rows: QuerySet[Execution],
    pk: UUID,
    target: State,
    *,
    now: datetime,
    actor: str,
    outcome: str = "",
    failure: Mapping[str, Any] | None = None,
    reason: str = "",
    **how: Any,
) -> Execution | None:
    """The one way an execution ends: its event, its attempt closed, what it waited for withdrawn, its parent told.

    `outcome` is the attempt's where it is not the execution's. The caller has locked the parent's row before this one.
    """
    if failure is not None:
        how |= {"error": kept(failure), "data": {**how.get("data", {}), **_brief(failure)}}
        reason = reason or str(failure.get("message", ""))
    ended = move(rows, pk, target, kind=target, now=now, actor=actor, reason=reason, **how)
    if ended is None:
        return None
    close_attempt(pk, outcome or target, now=now, error=failure)
    if ended.parent_id is not None:
        child_ended(ended, now=now)
    return ended


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
    crashes = _crashes(found) if category == Category.LOST else 0
    spent = Spent(found.retries, found.losses, found.environment_failures, crashes)
    policy = RetryPolicy.read(found.task_version.retry)
    decided = decide(category, error, policy=policy, spent=spent, chance=random.random())  # noqa: S311 — jitter
    if isinstance(decided, GiveUp) or found.state == State.CANCELLING:
        give_up(found, decided, error, now=now, actor=actor, outcome=_outcome(category))
    else:
        close_attempt(found.pk, _outcome(category), now=now, error=error)
        _again(found, decided, error, now=now, actor=actor, kind=kind, data=data)


def give_up(
    found: Execution, decided: GiveUp | Again, error: Mapping[str, Any], *, now: datetime, actor: str, outcome: str
) -> Execution | None:
    """End what cannot be tried again. While a cancel is under way nothing is tried again: it ends as it happened."""
    if isinstance(decided, Again):
        decided = GiveUp(State.FAILED, Reason.ERROR, error)
    return end(
        Execution.objects.filter(token=found.token),
        found.pk,
        decided.state,
        now=now,
        actor=actor,
        outcome=outcome,
        failure=decided.error,
        reason_code=decided.reason,
        sources=HELD,
        token=found.token + 1,
    )


def close_attempt(pk: UUID, outcome: str, *, now: datetime, error: Mapping[str, Any] | None = None) -> None:
    """The open attempt of an execution ends; none is open afterwards."""
    Attempt.objects.filter(execution=pk, outcome="").update(
        outcome=outcome, finished_at=now, error=kept(error) if error else None
    )


def withdraw(pk: UUID, *, now: datetime) -> None:
    """Nobody needs what it waited for any more."""
    Question.objects.filter(execution=pk, state=Question.State.OPEN).update(state=Question.State.WITHDRAWN)
    Wait.objects.filter(execution=pk, finished_at=None).update(finished_at=now)


def _end_by_claim(claim: Claim, target: State, *, now: datetime, **how: Any) -> None:
    """End what the claim holds; raises Stale where it holds nothing any more and has not said the same before."""
    _lock_parent(claim)
    if not end(held(claim), claim.execution_id, target, now=now, actor=claim.actor, **how) and not ended_as(
        claim, target
    ):
        stale(claim)


def _lock_parent(claim: Claim) -> None:
    if claim.parent_id is not None:
        lock_parent(claim.parent_id)


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
    counts = decided.budget != "losses" or category_of(error) != Category.LOST or _is_its_own(found)
    told = {**data, **_brief(error), "budget": decided.budget, "delay": decided.delay.total_seconds(), "counts": counts}
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
        error=kept(error),
        data=told,
        token=found.token + 1,
        **{decided.budget: getattr(found, decided.budget) + counts},
        **resumed(now, priority=found.priority, at=due),
    )


def _is_its_own(found: Execution) -> bool:
    """Whether a lost worker counts against an execution: once its code was active, or once it was never seen to be too often.

    Code may end its worker before anybody has recorded that it began; without the second half that went on for ever.
    """
    return found.state == State.RUNNING or _crashes(found) > FREE_LOSSES


def _crashes(found: Execution) -> int:
    return Attempt.objects.filter(execution=found.pk, outcome="lost").count()


def category_of(error: Mapping[str, Any]) -> str:
    return str(error.get("category", ""))


def _outcome(category: Category) -> str:
    return {Category.LOST: "lost", Category.TIMEOUT: "timed_out"}.get(category, "failed")


def kept(error: Mapping[str, Any]) -> str:
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
