"""What people and programs look at: columns, cards, questions, lines, workers."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, F, Min, OuterRef, Q, QuerySet, Subquery

from executions.models import (
    Execution,
    Firing,
    LogChunk,
    LogLine,
    Question,
    Worker,
    read_clock,
)
from executions.states import CLAIMABLE, HELD, PHASES, State
from tasks.models import Plan, Queue, Schedule

MOST_COUNTED = 1000
ENDED = ("completed", "failed")  # columns


def in_column(phase: str, *, after: tuple[Any, UUID] | None = None, limit: int = 50) -> list[Execution]:
    """Cards of one column after the one with this keyset: newest first by (state_at, id), those in Pending as they will
    start, by (rank, id: a number and a UUID)."""
    rows = _cards().filter(in_phases([phase]), _is_shown(phase))
    if phase == "pending":
        if after is not None:
            rows = rows.filter(rank__gte=after[0]).exclude(rank=after[0], id__lte=after[1])
        return list(rows.order_by("rank", "id")[:limit])
    if after is not None:
        rows = rows.filter(state_at__lte=after[0]).exclude(state_at=after[0], id__gte=after[1])
    return list(rows.order_by("-state_at", "-id")[:limit])


def count_in(phase: str) -> int:
    """How many executions stand in a column, counted up to MOST_COUNTED + 1."""
    return Execution.objects.filter(in_phases([phase]), _is_shown(phase))[: MOST_COUNTED + 1].count()


def cards(ids: Iterable[UUID]) -> list[Execution]:
    """Executions as cards, by id, in one query."""
    return list(_cards().filter(pk__in=list(ids)))


def in_phases(names: Iterable[str]) -> Q:
    """Those in one of these phases: by their state, and what is paused where it was."""
    wanted = set(names)
    states = {state for name in wanted for state in PHASES.get(name, ())}
    if "pending" in wanted and "running" not in wanted:
        return Q(state__in=sorted(states | {State.PAUSED}), paused_from__in=["", State.PENDING])
    if "running" in wanted and "pending" not in wanted:
        return Q(state__in=sorted(states)) & ~Q(paused_from=State.PENDING)
    return Q(state__in=sorted(states))


def runs(lineage: UUID) -> list[Execution]:
    """All runs of one lineage, the first first."""
    return list(Execution.objects.filter(lineage=lineage).only("number", "run", "state", "lineage").order_by("run"))


def children(pk: UUID, *, limit: int) -> list[Execution]:
    """What an execution started, in the order of its calls."""
    rows = Execution.objects.filter(parent=pk).select_related("task").defer("input", "output", "error")
    return list(rows.order_by("created_at", "number")[:limit])


def changed_since(moment: datetime, *, limit: int = 501) -> list[UUID]:
    """Executions that changed after `moment` (database clock), oldest change first."""
    rows = Execution.objects.filter(changed_at__gt=moment).order_by("changed_at")
    return list(rows.values_list("pk", flat=True)[:limit])


def plans_changed_since(moment: datetime, *, limit: int = 501) -> list[int]:
    """Plans that changed after `moment`, oldest change first; those that left Planning too."""
    return list(Plan.objects.filter(changed_at__gt=moment).order_by("changed_at").values_list("pk", flat=True)[:limit])


def present() -> datetime:
    """The database's clock now: a page's cursor is this, read before its snapshot."""
    return read_clock()


def open_questions() -> QuerySet[Question]:
    """What people are asked, oldest first."""
    return Question.objects.filter(state=Question.State.OPEN).select_related("execution", "execution__task")


def open_question_count() -> int:
    return Question.objects.filter(state=Question.State.OPEN).count()


def lines(execution_id: UUID, *, after: int = 0, limit: int = 500) -> list[LogLine]:
    """Log lines with n > `after`, in order."""
    return LogChunk.objects.filter(execution=execution_id).lines(after=after, limit=limit)


def queues() -> list[Queue]:
    """Every queue, by name."""
    return list(Queue.objects.all())


def workers() -> list[Worker]:
    """Workers that ever served, the living first."""
    return sorted(Worker.objects.all(), key=lambda worker: (not worker.is_living, worker.name))


def at_work() -> list[Execution]:
    """Executions that a worker holds now, as cards, the one that began first in front."""
    return list(Execution.objects.for_cards().filter(state__in=HELD).order_by("started_at", "id"))


def waiting_since() -> dict[str, tuple[int, datetime]]:
    """By queue: how many wait for a slot, and since when the first of those that never ran does."""
    rows = Execution.objects.filter(state__in=CLAIMABLE).order_by().values("queue")
    return {row["queue"]: (row["n"], row["since"]) for row in rows.annotate(n=Count("pk"), since=Min("created_at"))}


def last_firings(schedules: Iterable[Schedule]) -> dict[int, Firing]:
    """What came of the last tick of each, by the schedule's key, with the number and state of its execution."""
    rows = Firing.objects.filter(schedule=OuterRef("pk")).order_by("-fire_at").values("pk")[:1]
    wanted = Schedule.objects.filter(pk__in=[schedule.pk for schedule in schedules]).order_by()
    newest = wanted.values_list(Subquery(rows), flat=True)
    of_execution = ("execution__number", "execution__state", "execution__waiting_for")
    shown = ("schedule", "fire_at", "fired_at", "refused", *of_execution)
    found = Firing.objects.select_related("execution").filter(pk__in=newest).only(*shown)
    return {firing.schedule_id: firing for firing in found}


def _cards() -> QuerySet[Execution]:
    """Cards, with the number of what started them, and whether a later run of their lineage took their place."""
    return Execution.objects.for_cards().annotate(parent_number=F("parent__number"), is_superseded=_is_superseded())


def _is_shown(phase: str) -> Q:
    """What has ended leaves the board when it is run again; what is under way never does."""
    return ~Q(_is_superseded()) if phase in ENDED else Q()


def _is_superseded() -> Exists:
    return Exists(Execution.objects.filter(lineage=OuterRef("lineage"), run__gt=OuterRef("run")))
