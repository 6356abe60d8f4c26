"""How a state changes: one compare-and-swap, its event in the same transaction, the announcement after commit.

Every verb goes through `move` (the state changes) or `note` (it does not). The UPDATE's WHERE is the guard: an execution
in another state, or a worker whose fencing token is stale, matches no row, and the verb is refused.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, NoReturn, ParamSpec, TypeVar, cast
from uuid import UUID

from django.db import transaction
from django.db.models import Case, F, QuerySet, Value, When

from executions import events, failpoints
from executions.models import Attempt, Claim, Execution, ExecutionQuerySet, rank_of, touched, update_returning
from executions.states import FINAL, HELD, MOVES, PHASES, Reason, State, allowed_verbs, phase
from tasks.schema import Invalid, Problem
from tasks.sdk.canonical import Unfit, encode

MOVED = (
    "id", "number", "task", "state", "reason_code", "waiting_for", "pausing", "paused_from", "queue", "priority",
    "available_at", "worker", "incarnation", "token", "attempt", "retries", "losses", "last_seq", "last_line", "revision",
    "parent", "parent_key", "parent_occurrence", "parent_index", "depth", "owner", "team", "environment",
)  # fmt: skip
HEAD_BEFORE = (
    "(SELECT previous.hash FROM executions_event previous WHERE previous.execution_id = executions_execution.id"
    " AND previous.seq = executions_execution.last_seq - {})"
)
HEAD = HEAD_BEFORE.format(1)

NOTICEABLE = 0.002  # seconds
MOST_WITH_REFUSALS = 20_000  # events, of which code records at most half

P = ParamSpec("P")
T = TypeVar("T")


class Refused(Exception):
    """A verb that cannot be: why (`message`, for people), in a word (`code`), and which verbs are allowed instead."""

    def __init__(
        self, message: str, *, code: str = "not_allowed", allowed: Collection[str] = (), about: UUID | None = None
    ) -> None:
        super().__init__(message)
        self.message, self.code, self.allowed, self.about = message, code, list(allowed), about


class Stale(Refused):
    """The claim is no longer the current one: somebody else owns the execution, or nobody."""


def verb(do: Callable[P, T]) -> Callable[P, T]:
    """A verb is one transaction. One that is refused changes nothing, and then its refusal is recorded as an event."""

    @wraps(do)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        asked = time.monotonic()
        try:
            with transaction.atomic():
                waited = time.monotonic() - asked
                if waited > NOTICEABLE:  # for SQLite's write lock: others have written history meanwhile
                    kwargs["now"] = cast(datetime, kwargs["now"]) + timedelta(seconds=waited)
                done = do(*args, **kwargs)
                failpoints.before_commit(do.__name__, done)
            failpoints.after_commit(do.__name__, done)
            return done
        except Refused as refused:
            if refused.about is not None:
                by = args[0].actor if args and isinstance(args[0], Claim) else str(kwargs["actor"])
                _record_refusal(refused, do.__name__, now=cast(datetime, kwargs["now"]), actor=by)
            raise

    return run


def move(
    rows: QuerySet[Execution],
    pk: UUID,
    target: State,
    *,
    kind: str,
    now: datetime,
    actor: str,
    reason: str = "",
    reason_code: Reason | F = Reason.NONE,
    sources: Collection[State] | None = None,
    data: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Execution | None:
    """Move one execution to `target` and record it; None where no row of `rows` was in a state that allows it.

    What was asked to pause and would now wait, or stand in its queue again, is paused instead.
    """
    changes = {"waiting_for": "", **leaving(target, now), **_pausing(target), **changes}
    found = rows.filter(pk=pk, state__in=sources if sources is not None else MOVES[target])
    moved = _changed(found, last_seq=F("last_seq") + 1, **{
        "state": target, "state_at": _entered(target, now), "reason_code": reason_code, **changes
    })  # fmt: skip
    if moved is None:
        return None
    events.record(moved, kind, now=now, actor=actor, reason=reason, data=events.with_digests(data, changes))
    if moved.state == State.PAUSED and target != State.PAUSED:
        return note(Execution.objects.all(), pk, kind="paused", now=now, actor=actor)
    return moved


def move_all(
    rows: QuerySet[Execution],
    target: State,
    *,
    kind: str,
    now: datetime,
    actor: str,
    data: Callable[[Execution], Mapping[str, Any]] | None = None,
    **changes: Any,
) -> list[Execution]:
    """Move every row that may be moved to a held `target`, each with its event, in two statements; those that were moved."""
    changes = {"waiting_for": "", "reason_code": Reason.NONE, **_pausing(target), **changes}
    changes |= {"state": target, "state_at": _entered(target, now), "last_seq": F("last_seq") + 1}
    found = rows.filter(state__in=MOVES[target])
    moved = update_returning(found, touched(**changes), fields=MOVED, head=HEAD)
    events.record_all(moved, kind, now=now, actor=actor, data=data)
    return moved


def note(
    rows: QuerySet[Execution],
    pk: UUID,
    *,
    kind: str,
    now: datetime,
    actor: str,
    reason: str = "",
    data: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Execution | None:
    """Record an event that leaves the state alone; None where no row of `rows` has this id."""
    noted = _changed(rows.filter(pk=pk), last_seq=F("last_seq") + 1, **changes)
    if noted is not None:
        events.record(noted, kind, now=now, actor=actor, reason=reason, data=data)
    return noted


def wake(
    execution: Execution,
    *,
    kind: str,
    now: datetime,
    actor: str,
    reason_code: Reason,
    reason: str = "",
    data: Mapping[str, Any] | None = None,
) -> Execution | None:
    """End the wait of a locked execution: it stands in its queue again, or, if paused, will when that ends."""
    everything = Execution.objects.all()
    back = resumed(now, priority=execution.priority)
    if execution.state == State.PAUSED and execution.paused_from == State.WAITING:
        return note(everything, execution.pk, kind=kind, now=now, actor=actor, reason=reason, data=data,
                    paused_from=State.RESUMING, waiting_for="", reason_code=reason_code, **back)  # fmt: skip
    return move(everything, execution.pk, State.RESUMING, kind=kind, now=now, actor=actor, reason=reason, data=data,
                reason_code=reason_code, sources={State.WAITING}, **back)  # fmt: skip


def lock(pk: UUID) -> Execution:
    """An execution, locked, and its parent before it: the one order in which rows are locked. Raises DoesNotExist."""
    parent = Execution.objects.values_list("parent_id", flat=True).get(pk=pk)
    if parent is not None:
        lock_parent(parent)
    return Execution.objects.lean().select_for_update().get(pk=pk)


def lock_parent(pk: UUID) -> None:
    Execution.objects.select_for_update().values_list("pk").get(pk=pk)


def check_words(**words: Any) -> None:
    """Raise Invalid for words that cannot be stored (a NUL, half a surrogate), with the name of the member."""
    try:
        encode(words)
    except Unfit as unfit:
        raise Invalid("That cannot be stored.", [Problem(unfit.pointer, unfit.message)]) from unfit


def held(claim: Claim) -> ExecutionQuerySet:
    """The row this claim still holds, or no row."""
    return Execution.objects.filter(token=claim.token, state__in=HELD)


def by_claim(claim: Claim, target: State, *, outcome: str = "", **how: Any) -> Execution | None:
    """Move what the claim holds; raises Stale where it holds nothing any more.

    None where this very attempt has ended with `outcome` already: the commit that its worker never heard of.
    """
    moved = move(held(claim), claim.execution_id, target, actor=claim.actor, **how)
    if moved is None and not (outcome and ended_as(claim, outcome)):
        stale(claim)
    return moved


def ended_as(claim: Claim, *outcomes: str) -> bool:
    """Whether this very attempt has ended like that."""
    mine = Attempt.objects.filter(execution=claim.execution_id, number=claim.attempt, token=claim.token)
    return mine.filter(outcome__in=outcomes).exists()


def stale(claim: Claim) -> NoReturn:
    """Raise Stale for a claim that does not speak for its execution (any more, or in this state)."""
    execution = Execution.objects.lean().get(pk=claim.execution_id)
    message = f"{execution} is {execution.state}: attempt {claim.attempt} by {claim.worker} does not speak for it."
    raise Stale(message, code="stale", about=claim.execution_id)


def refuse(execution: Execution, verb_name: str, *, message: str = "", code: str = "not_allowed") -> NoReturn:
    """Raise Refused for a person's verb, with the verbs that are allowed."""
    allowed = allowed_of(execution)
    told = message or _why_not(execution, verb_name, allowed)
    code = "final" if execution.state in FINAL else code
    raise Refused(told, code=code, allowed=allowed, about=execution.pk)


def allowed_of(execution: Execution) -> list[str]:
    """What may be asked of it now."""
    return allowed_verbs(execution.state, pausing=execution.pausing, waiting_for=execution.waiting_for)


def resumed(since: datetime, *, priority: str, at: datetime | None = None) -> dict[str, Any]:
    """The fields of an execution that stands in its queue again: at once, or from `at` on, with a head start."""
    return {
        "available_at": at,
        "rank": rank_of(priority, (at or since).timestamp(), resumed=True),
        "worker": "",
        "incarnation": 0,
        "lease_until": None,
    }


@transaction.atomic
def _record_refusal(refused: Refused, verb_name: str, *, now: datetime, actor: str) -> None:
    """Add it to the history, unless that is full of refusals already."""
    assert refused.about is not None
    told = {"refused": verb_name, "code": refused.code}
    rows = Execution.objects.filter(last_seq__lt=MOST_WITH_REFUSALS)
    note(rows, refused.about, kind="write_refused", now=now, actor=actor, data=told, reason=refused.message)


def _why_not(execution: Execution, verb: str, allowed: list[str]) -> str:
    if execution.state in FINAL:
        return f"{execution} has ended ({execution.state}), and what has ended is final: it cannot {verb}."
    can = f"It can: {', '.join(allowed)}." if allowed else "Nothing can be asked of it just now."
    return f"{execution} is {execution.state}: it cannot {verb} now. {can}"


def leaving(target: State, now: datetime) -> dict[str, Any]:
    """What a target state implies: an end has its time, and only what is held has a lease."""
    lease = {} if target in HELD else {"lease_until": None}
    return {**lease, "finished_at": now} if target in FINAL else lease


def _pausing(target: State) -> dict[str, Any]:
    """What a move does to a pause that was asked for and not yet reached."""
    if target in (State.RESUMING, State.WAITING):
        return {
            "state": Case(When(pausing=True, then=Value(State.PAUSED)), default=Value(target)),
            "paused_from": Case(When(pausing=True, then=Value(target)), default=Value("")),
            "pausing": False,
        }
    return {"paused_from": ""} if target in HELD - {State.CANCELLING} else {"paused_from": "", "pausing": False}


def _changed(rows: QuerySet[Execution], **changes: Any) -> Execution | None:
    """The one row, changed and with its next revision, as it is now; `head` is the hash of the event before the next."""
    found = update_returning(rows, touched(**changes), fields=MOVED, head=HEAD)
    return found[0] if found else None


def _entered(target: State, now: datetime) -> Case:
    """`state_at` is when the card entered its column, so that a resumed card keeps its place."""
    same_column = PHASES[phase(target)]
    return Case(When(state__in=same_column, then=F("state_at")), default=Value(now))
