"""Anchors: what was true of many histories at one moment, signed and chained.

Guarantee: after an anchor, an execution whose history was cut short, and one that vanished without a tombstone, are found.
Two processes at once make one anchor: an anchor names the one before it, and no two may name the same.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F

from executions import seals
from executions.models import Anchor, Event, EventRow

logger = logging.getLogger(__name__)

PART = 5_000  # executions in one anchor, so that it is read in bounded memory
OVERLAP = timedelta(minutes=5)  # what was committed late is looked at again; no transaction lives longer


def make(now: datetime) -> list[Anchor]:
    """Anchor every execution that changed since the last anchor; [] where another process was faster."""
    last = Anchor.objects.order_by("-id").first()
    since = None if last is None else last.until
    made = []
    for part in _parts(since):
        try:
            with transaction.atomic():
                last = write(Anchor.Kind.HEADS, part, since=since, until=now, previous=last)
        except IntegrityError:
            return []
        made.append(last)
    logger.info("histories are anchored until %s: %s", seals.moment(now), made[-1].signature)
    return made


def is_due(now: datetime) -> bool:
    """Whether the last anchor is of an earlier day (UTC), or there is none."""
    until = Anchor.objects.filter(kind=Anchor.Kind.HEADS).order_by("-id").values_list("until", flat=True).first()
    return until is None or until.astimezone(UTC).date() < now.astimezone(UTC).date()


def write(
    kind: str, entries: Iterable[str], *, since: datetime | None, until: datetime, previous: Anchor | None
) -> Anchor:
    """Sign and store one anchor after `previous`. Raises IntegrityError where another has taken that place."""
    anchor = Anchor(kind=kind, since=since, until=until, entries="\n".join(entries),
                    previous="" if previous is None else previous.signature)  # fmt: skip
    anchor.signature = seals.seal(*anchor.signed_parts)
    anchor.save(force_insert=True)
    return anchor


def entries_of(anchor: Anchor) -> Iterator[tuple[UUID, int, str]]:
    """Execution, seq and seal of each of its lines."""
    for line in anchor.entries.splitlines():
        pk, seq, head = line.split(" ")
        yield UUID(pk), int(seq), head


def digest_of(events: Iterable[EventRow]) -> str:
    """One digest of events that carry no seal of their own."""
    whole = hashlib.sha256()
    for event in events:
        whole.update(seals.told(event.sealed_parts("")).encode() + b"\n")
    return whole.hexdigest()


def _parts(since: datetime | None) -> Iterator[list[str]]:
    """The lines of what changed, in parts; one empty part where nothing has."""
    before = datetime(1970, 1, 1, tzinfo=UTC) if since is None else since - OVERLAP
    last, first = UUID(int=0), True
    while True:
        rows = _heads(last, before)
        if rows or first:
            yield [f"{pk} {seq} {head}" for pk, seq, head in rows]
        if len(rows) < PART:
            return
        last, first = rows[-1][0], False


def _heads(after: UUID, before: datetime) -> list[tuple[UUID, int, str]]:
    """One statement, so that a row and its last event are seen as of one moment."""
    heads = Event.objects.filter(
        execution__changed_at__gt=before, execution__gt=after, seq=F("execution__last_seq")
    ).order_by("execution_id")
    return list(heads.values_list("execution_id", "seq", "hash")[:PART])
