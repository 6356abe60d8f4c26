"""Retention: what ended long ago is let go, and a signed tombstone is left of it.

Guarantee: an execution goes whole, in one transaction, or stays. A family (parents, children, runs made from one another) goes
only once all of it has ended and is old: nothing that stays points at what is gone. What does not verify is kept as evidence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from uuid import UUID

from django.db.models import Q

from executions import seals
from executions.history.verifying import Verification
from executions.models import (
    Attempt,
    Event,
    Execution,
    Firing,
    LogChunk,
    Question,
    Signal,
    Step,
    Timer,
    Tombstone,
    Wait,
)
from executions.states import FINAL
from tasks import append_only

# What points at others goes before them.
PARTS = (Firing, Timer, Signal, Wait, Question, Step, LogChunk, Attempt, Event)
LARGEST_FAMILY = 10_000
BATCH = 100


@dataclass(frozen=True, slots=True)
class Old:
    """An execution that may go, and whether its history verifies."""

    pk: UUID
    sound: bool


def old(*, before: datetime) -> Iterator[Old]:
    """Executions of families that ended before a moment, those that nothing points at first. Read while they are pruned."""
    look, seen = Verification(), set()
    last: tuple[datetime, UUID] | None = None
    while batch := _ended(before, after=last):
        for pk, finished_at in batch:
            last = (finished_at, pk)
            family = [] if pk in seen else _family(pk)
            seen |= {member.pk for member in family} if len(family) > 1 else set()
            if _all_old(family, before):
                yield from (_judged(member.pk, look) for member in family)


def prune(pk: UUID, *, why: str, now: datetime) -> Tombstone | None:
    """Remove an execution with everything of it and leave its tombstone; None where something points at it (again)."""
    with append_only.lifted():
        row = Execution.objects.lean().select_related("task").select_for_update(of=("self",)).filter(pk=pk).first()
        if row is None or row.state not in FINAL or row.finished_at is None or _is_pointed_at(pk):
            return None
        stone = _tombstone(row, row.finished_at, why=why, now=now)
        for part in PARTS:
            part._default_manager.filter(execution=pk).delete()
        row.delete()
        stone.save(force_insert=True)
    return stone


def _ended(before: datetime, *, after: tuple[datetime, UUID] | None) -> list[tuple[UUID, datetime]]:
    rows = Execution.objects.filter(state__in=FINAL, finished_at__lt=before)
    if after is not None:
        rows = rows.filter(finished_at__gte=after[0]).exclude(finished_at=after[0], pk__lte=after[1])
    found = rows.order_by("finished_at", "pk").values_list("pk", "finished_at")[:BATCH]
    return [(pk, finished_at) for pk, finished_at in found if finished_at is not None]


def _family(pk: UUID) -> list[Execution]:
    """Everything that is tied to an execution by parent or rerun, those that nothing points at first."""
    family: dict[UUID, Execution] = {}
    looked_at: set[UUID] = set()
    frontier = {pk}
    while frontier and len(family) <= LARGEST_FAMILY:
        some = set(list(frontier)[:BATCH])
        tied = Q(pk__in=some) | Q(parent__in=some) | Q(rerun_of__in=some)
        rows = Execution.objects.filter(tied).only("number", "state", "finished_at", "parent", "rerun_of")
        found = {row.pk: row for row in rows}
        pointed_at = {pk for row in found.values() for pk in (row.parent_id, row.rerun_of_id) if pk is not None}
        family |= found
        looked_at |= some
        frontier = (frontier | found.keys() | pointed_at) - looked_at
    return sorted(family.values(), key=attrgetter("number"), reverse=True)  # who points at another was born after it


def _all_old(family: list[Execution], before: datetime) -> bool:
    if len(family) > LARGEST_FAMILY:
        return False
    return all(member.finished_at is not None and member.finished_at < before for member in family)


def _is_pointed_at(pk: UUID) -> bool:
    return Execution.objects.filter(Q(parent=pk) | Q(rerun_of=pk)).exists()


def _judged(pk: UUID, look: Verification) -> Old:
    look.only = pk
    return Old(pk, sound=not any(look.findings()))


def _tombstone(row: Execution, finished_at: datetime, *, why: str, now: datetime) -> Tombstone:
    head = Event.objects.values_list("hash", flat=True).get(execution=row, seq=row.last_seq)
    stone = Tombstone(
        id=row.pk, number=row.number, task=row.task.slug, lineage=row.lineage, run=row.run, parent=row.parent_id,
        state=row.state, created_at=row.created_at, finished_at=finished_at, last_seq=row.last_seq, head=head, why=why,
        pruned_at=now,
    )  # fmt: skip
    stone.signature = seals.seal(*stone.signed_parts)
    return stone
