"""complete_all: attempts that came to their end before anybody had told of their start, several in one transaction.

Guarantee: it writes what `start` and `complete` would have written, event by event. What is not as expected (cancelled or to be
paused meanwhile, lost, somebody's child) is left for those two verbs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any
from uuid import UUID

from django.db.models import Case, F, Q, Value, When

from executions import events
from executions.events import Told
from executions.models import Attempt, Claim, Execution, touched, update_returning
from executions.states import State
from executions.transitions.moving import HEAD_BEFORE, MOVED, leaving, verb
from executions.transitions.owning import Began


@dataclass(frozen=True, slots=True)
class Finished:
    """How an attempt began and what it came to; `output` is canonical JSON text."""

    claim: Claim
    began: Began
    output: str


@verb
def complete_all(finished: Sequence[Finished], *, now: datetime) -> frozenset[UUID]:
    """Start and complete these attempts of one worker; the executions for which that is now so."""
    by_id = {one.claim.execution_id: one for one in finished}
    mine = reduce(or_, (Q(pk=pk, token=one.claim.token) for pk, one in by_id.items()))
    expected = Execution.objects.filter(mine, state=State.PREPARING, pausing=False, parent=None)
    changes = touched(
        state=State.COMPLETED,
        state_at=now,
        reason_code="",
        progress=1.0,
        error=None,
        output=_each(by_id, "pk", lambda one: one.output, Execution._meta.get_field("output")),
        last_seq=F("last_seq") + 2,
        **leaving(State.COMPLETED, now),
    )
    ended = update_returning(expected, changes, fields=MOVED, head=HEAD_BEFORE.format(2))
    if not ended:
        return frozenset()
    done = {execution.pk: by_id[execution.pk] for execution in ended}
    events.record_each(ended, lambda execution: _told(done[execution.pk], now), actor=finished[0].claim.actor)
    _close_attempts(done, now)
    return frozenset(done)


def _told(one: Finished, now: datetime) -> list[Told]:
    digests = events.with_digests(None, {"output": one.output, "error": None})
    return [
        Told("started", State.RUNNING, one.began.at, one.began.told(one.claim)),
        Told("completed", State.COMPLETED, now, digests),
    ]


def _close_attempts(done: Mapping[UUID, Finished], now: datetime) -> None:
    def each(name: str) -> Any:
        return _each(done, "execution", lambda one: getattr(one.began, name), Attempt._meta.get_field(name))

    rows = Attempt.objects.filter(execution__in=list(done), outcome="")
    rows.update(
        outcome="completed",
        finished_at=now,
        started_at=_each(done, "execution", lambda one: one.began.at, Attempt._meta.get_field("started_at")),
        **{name: each(name) for name in ("sandbox", "method", "driver", "choice")},
    )


def _each(done: Mapping[UUID, Finished], key: str, value: Callable[[Finished], Any], field: Any) -> Any:
    """The value of each row; one for all of them where they agree."""
    values = {pk: value(one) for pk, one in done.items()}
    first = next(iter(values.values()))
    if all(other == first for other in values.values()):
        return Value(first, output_field=field)
    cases = [When(**{key: pk}, then=Value(found, output_field=field)) for pk, found in values.items()]
    return Case(*cases, output_field=field)
