"""The verbs of plans: what stands in Planning, and in which order.

Each is a compare-and-swap on the plan's state and sends `planned` after commit. A plan is never deleted but launched or
removed, so a second launch finds out, and undo brings it back.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F, Max, Min

from tasks import events
from tasks.models import Plan, Task

GAP = 1024.0  # between neighbours, so that a card can be placed between two without moving others
EDITABLE = frozenset({"input", "title", "note"})


class NotPlanned(Exception):
    """The plan no longer stands in Planning; `state` says what became of it."""

    def __init__(self, plan: Plan) -> None:
        became = {"launched": "was launched already", "removed": "was removed"}.get(plan.state, "is not in Planning")
        super().__init__(f"This plan {became}. Reload the board to see where it is.")
        self.plan, self.state = plan, plan.state


@transaction.atomic
def plan(
    task: Task,
    *,
    now: datetime,
    by: User | None = None,
    input: Any = None,
    title: str = "",
    note: str = "",
    before: Plan | None = None,
) -> Plan:
    """Put a task into Planning, at the end or before another plan."""
    made = Plan.objects.create(
        task=task,
        input=input,
        title=title,
        note=note,
        planned_by=by,
        position=_position(before),
        changed_at=now,
        created_at=now,
    )
    events.announce(made.pk, version=made.version)
    return made


@transaction.atomic
def edit(pk: int, *, now: datetime, **changes: Any) -> Plan:
    """Change a plan's draft input, title or note."""
    if unknown := set(changes) - EDITABLE:
        raise TypeError(f"a plan has no {', '.join(sorted(unknown))} to edit")
    return _move(pk, Plan.State.PLANNED, Plan.State.PLANNED, now=now, **changes)


@transaction.atomic
def place(pk: int, *, before: Plan | None, now: datetime) -> Plan:
    """Give a plan its place in the order: before another one, or last."""
    return _move(pk, Plan.State.PLANNED, Plan.State.PLANNED, now=now, position=_position(before))


@transaction.atomic
def remove(pk: int, *, now: datetime) -> Plan:
    """Take a plan off the board; its row stays."""
    return _move(pk, Plan.State.PLANNED, Plan.State.REMOVED, now=now)


@transaction.atomic
def launch(pk: int, *, now: datetime) -> Plan:
    """Planning → gone: the execution made in the same transaction takes its place. Raises NotPlanned the second time."""
    return _move(pk, Plan.State.PLANNED, Plan.State.LAUNCHED, now=now)


@transaction.atomic
def take_back(pk: int, *, now: datetime) -> Plan:
    """A launch was undone: the plan stands in Planning again, where it stood."""
    return _move(pk, Plan.State.LAUNCHED, Plan.State.PLANNED, now=now)


def _move(pk: int, source: str, target: str, *, now: datetime, **changes: Any) -> Plan:
    moved = Plan.objects.filter(pk=pk, state=source).update(
        state=target, version=F("version") + 1, changed_at=now, **changes
    )
    found = Plan.objects.select_related("task", "task__latest").get(pk=pk)
    if not moved:
        raise NotPlanned(found)
    events.announce(pk, version=found.version)
    return found


def _position(before: Plan | None) -> float:
    standing = Plan.objects.filter(state=Plan.State.PLANNED)
    if before is None:
        return (standing.aggregate(Max("position"))["position__max"] or 0.0) + GAP
    ahead = standing.filter(position__lt=before.position).aggregate(Max("position"))["position__max"]
    if ahead is None:
        return (standing.aggregate(Min("position"))["position__min"] or 0.0) - GAP
    return float(ahead + before.position) / 2
