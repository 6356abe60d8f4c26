"""Does the database still say what was written? Seals, order, fold, anchors and tombstones, in bounded memory.

Guarantee: while the house runs, what it writes meanwhile is no finding. Events never change, and an event and the row's change
are one commit; so a row, and the events up to its `last_seq` read after it, belong together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from uuid import UUID

from django.db import DatabaseError
from django.db.models import Exists, F, OuterRef, QuerySet

from executions import seals
from executions.history import anchors
from executions.history.fold import LEAVES_BEHIND, READ, differences, facts_of, fold
from executions.models import EVENT_COLUMNS, Anchor, Event, EventRow, Execution, Tombstone
from executions.seals import UnknownKey

BATCH = 200
UNREADABLE = (ValueError, TypeError, AttributeError, DatabaseError)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: with an execution (its id and number for people), at an event, or with neither."""

    message: str
    execution: str | None = None
    number: int | None = None
    seq: int | None = None

    def __str__(self) -> str:
        who = f"EX-{self.number} {self.execution}" if self.number is not None else self.execution
        place = f"{who} event {self.seq}" if who and self.seq is not None else who
        return f"{place}: {self.message}" if place else self.message


@dataclass(slots=True)
class Tally:
    """How much was looked at; `unsealed` are executions begun before histories were sealed."""

    executions: int = 0
    events: int = 0
    anchors: int = 0
    tombstones: int = 0
    unsealed: int = 0
    last_anchor: str = ""


@dataclass(slots=True)
class Verification:
    """One look at all histories, at those that changed `since`, or at `only` one."""

    only: UUID | None = None
    since: datetime | None = None
    tally: Tally = field(default_factory=Tally)
    progress: Callable[[int], None] | None = None  # told how many executions have been looked at
    _unknown: set[str] = field(default_factory=set)
    _vouched: dict[UUID, tuple[int, str]] | None = None

    def findings(self) -> Iterator[Finding]:
        """Everything that is wrong, as it is found, and at last the keys that are not ours; the tally grows meanwhile."""
        self._unknown.clear()
        for batch in self._batches():
            yield from self._look_at(batch)
            self.tally.executions += len(batch)
            if self.progress is not None:
                self.progress(self.tally.executions)
        if self.only is None:
            yield from self._anchors()
            yield from _strays()
        yield from self._tombstones()
        yield from (Finding(str(UnknownKey(key_id))) for key_id in sorted(self._unknown))

    def rows(self) -> QuerySet[Execution]:
        """The executions that are looked at."""
        rows = Execution.objects.all()
        if self.only is not None:
            return rows.filter(pk=self.only)
        return rows if self.since is None else rows.filter(changed_at__gte=self.since)

    def _batches(self) -> Iterator[list[UUID]]:
        last = UUID(int=0)
        while batch := list(self.rows().filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:BATCH]):
            yield batch
            last = batch[-1]

    def _look_at(self, batch: Sequence[UUID]) -> Iterator[Finding]:
        """A batch in few queries; where something in it cannot even be read, one by one."""
        counted = self.tally.events
        try:
            found = list(self._check(batch))
        except UNREADABLE as error:
            if len(batch) == 1:
                yield from _still_there([Finding(f"cannot be read: {error}", str(batch[0]))])
                return
            self.tally.events = counted
            for pk in batch:
                yield from self._look_at([pk])
            return
        yield from _still_there(found)

    def _check(self, batch: Sequence[UUID]) -> Iterator[Finding]:
        rows = {row.pk: row for row in _rows(batch)}
        found = Event.objects.filter(execution__in=batch).order_by("execution_id", "seq").values_list(*EVENT_COLUMNS)
        events = (EventRow(*columns) for columns in found.iterator(chunk_size=1000))
        seen = set()
        for pk, history in groupby(events, key=attrgetter("execution_id")):
            if pk in rows:
                seen.add(pk)
                yield from self._history(rows[pk], history)
        for pk in rows.keys() - seen:
            yield from self._history(rows[pk], ())
        late = Event.objects.filter(execution__in=batch, seq__gt=F("execution__last_seq"))
        for pk, seq in late.values_list("execution_id", "seq"):
            yield Finding("the row does not know of this event", str(pk), rows[pk].number if pk in rows else None, seq)

    def _history(self, row: Execution, events: Iterable[EventRow]) -> Iterator[Finding]:
        """One execution: its chain and its fold, in one pass over its events."""
        wrong: list[tuple[int | None, str]] = []
        told = fold(self._chained(row, events, wrong))
        if row.pk in self.vouched():
            self.tally.unsealed += 1
        else:
            wrong += told.broken
            wrong += [(None, sentence) for sentence in differences(told, facts_of(row))]
        for seq, message in wrong:
            yield Finding(message, str(row.pk), row.number, seq)

    def _chained(
        self, row: Execution, events: Iterable[EventRow], wrong: list[tuple[int | None, str]]
    ) -> Iterator[EventRow]:
        """The events up to the row's `last_seq`, while `wrong` is told where their order or their seals do not hold."""
        previous, expected, unsealed = "", 1, []
        sealed_after, vouched = self.vouched().get(row.pk, (0, ""))
        for event in events:
            if event.seq > row.last_seq:
                continue
            self.tally.events += 1
            if event.seq != expected:
                wrong.append((event.seq, f"{_missing(expected, event.seq - 1)} before it"))
            elif event.seq <= sealed_after:
                unsealed.append(event)
            elif not self._holds(event, previous):
                wrong.append((event.seq, "it is not what was sealed" if event.hash else "it carries no seal"))
            previous, expected = event.hash, event.seq + 1
            yield event
        if expected <= row.last_seq or row.last_seq == 0:
            wrong.append((None, f"{_missing(expected, row.last_seq)} at the end"))
        if unsealed and (any(event.hash for event in unsealed) or anchors.digest_of(unsealed) != vouched):
            wrong.append((None, "what was written before histories were sealed has changed since"))

    def _holds(self, event: EventRow, previous: str) -> bool:
        try:
            return seals.holds(event.hash, *event.sealed_parts(previous))
        except UnknownKey as unknown:
            self._unknown.add(unknown.key_id)
            return True  # told once for all that it sealed
        except UNREADABLE:
            return False

    def vouched(self) -> dict[UUID, tuple[int, str]]:
        """By execution: up to which seq its events carry no seal, and their digest as it was signed."""
        if self._vouched is None:
            self._vouched = {
                pk: (seq, digest)
                for anchor in Anchor.objects.filter(kind=Anchor.Kind.UNSEALED)
                if self._signed(anchor)
                for pk, seq, digest in anchors.entries_of(anchor)
            }
        return self._vouched

    # Anchors and tombstones

    def _anchors(self) -> Iterator[Finding]:
        """Each signature, the chain of them, and every line of those that matter."""
        previous = ""
        for anchor in Anchor.objects.order_by("id").iterator(chunk_size=2):
            self.tally.anchors += 1
            if anchor.previous != previous:
                yield Finding(f"the anchor of {anchor.until} does not follow the one before it: one is missing")
            previous = self.tally.last_anchor = anchor.signature
            if not self._signed(anchor):
                yield Finding(f"the anchor of {anchor.until} is not what was signed")
            elif self.since is None or anchor.until >= self.since:
                yield from _unlike(anchor)

    def _tombstones(self) -> Iterator[Finding]:
        stones = Tombstone.objects.all() if self.only is None else Tombstone.objects.filter(pk=self.only)
        for stone in stones.order_by("pk").iterator(chunk_size=1000):
            self.tally.tombstones += 1
            if not self._signed(stone):
                yield Finding("its tombstone is not what was signed", str(stone.pk), stone.number)
        back = stones.filter(Exists(Execution.objects.filter(pk=OuterRef("pk"))))
        for pk, number in back.values_list("pk", "number"):
            yield Finding("it has a tombstone, and is there again", str(pk), number)

    def _signed(self, thing: Anchor | Tombstone) -> bool:
        try:
            return seals.holds(thing.signature, *thing.signed_parts)
        except UnknownKey as unknown:
            self._unknown.add(unknown.key_id)
            return True
        except UNREADABLE:
            return False


def _rows(batch: Sequence[UUID]) -> Iterator[Execution]:
    """Rows with digests in place of their large texts, read a few at a time."""
    rows = Execution.objects.filter(pk__in=batch).select_related("task", "task_version").only(*READ)
    for row in rows.iterator(chunk_size=10):
        for name in LEAVES_BEHIND:
            if (text := getattr(row, name)) is not None:
                setattr(row, name, seals.digest(text))
        yield row


def _unlike(anchor: Anchor) -> Iterator[Finding]:
    """Where the database no longer holds what the anchor saw."""
    lines = list(anchors.entries_of(anchor))
    for at in range(0, len(lines), BATCH):
        part = lines[at : at + BATCH]
        there = _heads({pk for pk, _, _ in part}, {seq for _, seq, _ in part})
        gone = {stone.pk: stone for stone in Tombstone.objects.filter(pk__in=[pk for pk, _, _ in part])}
        for pk, seq, head in part:
            expected = "" if anchor.kind == Anchor.Kind.UNSEALED else head
            if there.get((pk, seq)) != expected and not _buried(gone.get(pk), seq, expected):
                yield Finding(_vanished(pk, anchor), str(pk), None, seq)


def _heads(executions: set[UUID], seqs: set[int]) -> dict[tuple[UUID, int], str]:
    """Seals by execution and seq."""
    events = Event.objects.filter(execution__in=executions, seq__in=seqs).order_by()
    return {(pk, seq): head for pk, seq, head in events.values_list("execution_id", "seq", "hash")}


def _buried(stone: Tombstone | None, seq: int, head: str) -> bool:
    return stone is not None and (seq < stone.last_seq or (seq, head) == (stone.last_seq, stone.head))


def _vanished(pk: UUID, anchor: Anchor) -> str:
    if Execution.objects.filter(pk=pk).exists():
        return f"it is not the event that was anchored on {anchor.until:%Y-%m-%d}"
    return f"it was anchored on {anchor.until:%Y-%m-%d}, and has vanished without a tombstone"


def _strays() -> Iterator[Finding]:
    """Events of executions that are not there."""
    strays = Event.objects.filter(~Exists(Execution.objects.filter(pk=OuterRef("execution_id"))))
    for pk in strays.order_by().values_list("execution_id", flat=True).distinct()[:BATCH]:
        yield Finding("there are events, and no execution", str(pk))


def _still_there(found: Iterable[Finding]) -> Iterator[Finding]:
    """Findings, but for executions that retention has removed while they were looked at."""
    kept = list(found)
    about = {finding.execution for finding in kept if finding.execution is not None}
    gone = {str(pk) for pk in Tombstone.objects.filter(pk__in=about).values_list("pk", flat=True)} if about else set()
    there = {str(pk) for pk in Execution.objects.filter(pk__in=gone).values_list("pk", flat=True)} if gone else set()
    return (finding for finding in kept if finding.execution not in gone - there)


def _missing(first: int, last: int) -> str:
    if last < first:
        return "there is one event too many" if last > 0 else "its events are missing"
    return f"event {first} is missing" if first == last else f"events {first} to {last} are missing"
