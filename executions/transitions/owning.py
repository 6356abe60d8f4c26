"""start, renew, release, reclaim: how long an execution is owned that was claimed, and what becomes of it when its owner is
gone.

Guarantee: at most one attempt is current. The lease is compared by the database's clock alone, and whoever comes later with an
older token matches no row.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_
from uuid import UUID

from django.conf import settings
from django.db.models import F, Q

from executions.models import Attempt, Claim, Execution, clock
from executions.retry import Category
from executions.states import HELD, Reason, State
from executions.transitions.ending import close_attempt, end, follow
from executions.transitions.moving import by_claim, ended_as, held, lock, move, resumed, stale, verb


@dataclass(frozen=True, slots=True)
class Began:
    """How an attempt began: in which sandbox, and why in that; `at` is when it said hello."""

    sandbox: str
    method: str
    driver: str
    choice: str
    at: datetime

    def told(self, claim: Claim) -> dict[str, object]:
        """What its event tells."""
        names = ("sandbox", "method", "driver", "choice")
        return {"attempt": claim.attempt, **{name: getattr(self, name) for name in names}}


@verb
def start(claim: Claim, *, began: Began, now: datetime) -> None:
    """The sandbox said hello: the author's code is active."""
    mine = Attempt.objects.filter(execution=claim.execution_id, number=claim.attempt, token=claim.token)
    started = move(held(claim), claim.execution_id, State.RUNNING, kind="started", now=now, actor=claim.actor,
                   data=began.told(claim))  # fmt: skip
    if started is not None:
        mine.update(sandbox=began.sandbox, method=began.method, driver=began.driver, choice=began.choice,
                    started_at=began.at)  # fmt: skip
    elif not mine.filter(sandbox=began.sandbox).exists():  # else this was said before, and the commit was not heard of
        stale(claim)


def renew(claims: Iterable[Claim]) -> dict[UUID, str]:
    """Lengthen every lease in one statement; the states of those still held, by id. What is missing is lost."""
    mine = reduce(or_, (Q(pk=claim.execution_id, token=claim.token) for claim in claims), Q(pk__in=[]))
    Execution.objects.filter(mine, state__in=HELD).update(lease_until=clock() + settings.LEASE)
    return dict(Execution.objects.filter(mine, state__in=HELD).values_list("pk", "state"))


@verb
def release(claim: Claim, *, now: datetime, reason: str = "") -> None:
    """A worker that drains, or has claimed more than it gets to, gives an execution back; no loss is counted. What was to be
    cancelled has ended with its sandbox."""
    found = lock(claim.execution_id)
    if found.state == State.CANCELLING and found.token == claim.token:
        end(held(claim), found.pk, State.CANCELLED, now=now, actor=claim.actor, reason_code=F("reason_code"))
        return
    if found.state == State.CANCELLED and ended_as(claim, "cancelled"):
        return
    if by_claim(claim, State.RESUMING, outcome="released", kind="released", now=now, reason_code=Reason.DRAINED,
                reason=reason or f"{claim.worker} is draining", sources=HELD - {State.CANCELLING},
                **resumed(now, priority=found.priority)):  # fmt: skip
        close_attempt(claim.execution_id, "released", now=now)


@verb
def reclaim(pk: UUID, *, token: int, now: datetime, actor: str) -> bool:
    """Take back what a lost worker holds: it runs again with its recorded steps, until the crash budget is spent.

    A loss counts only once the sandbox had said hello. What was being cancelled ends as terminated: nobody saw it stop.
    False where the owner, or somebody else, was faster.
    """
    rows, found = Execution.objects.filter(token=token), lock(pk)
    if found.token != token or found.state not in HELD:
        return False
    reason = f"{found.worker} was lost"
    lost = {"worker": found.worker, "attempt": found.attempt}
    if found.state == State.CANCELLING:
        end(rows, pk, State.TERMINATED, now=now, actor=actor, data=lost, token=token + 1,
            reason=f"{reason} before anybody saw it stop", reason_code=Reason.NOT_STOPPED)  # fmt: skip
        return True
    error = {"type": "WorkerLost", "message": f"{reason} in attempt {found.attempt}.", "category": Category.LOST}
    follow(found, Category.LOST, error, now=now, actor=actor, kind="lost", data=lost)
    return True
