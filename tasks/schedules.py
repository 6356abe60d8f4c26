"""The verbs of schedules: make, change, pause, resume, remove. What fires them is `executions.schedules`.

Guarantee: what is saved can be read and its input fits the task's newest version; else Invalid names each member that is
wrong, and nothing is saved. Ticks that pass while a schedule is paused are not missed: it goes on with the next one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from tasks import ticks
from tasks.models import Schedule, Task
from tasks.schema import Invalid, Problem, problems
from tasks.sdk.canonical import Unfit, encode

CHANGEABLE = frozenset({"task", "input", "cron", "every", "timezone", "missed"})
NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,98}[a-z0-9])?")


def make(
    name: str,
    *,
    task: Task,
    now: datetime,
    actor: str,
    owner: User | None = None,
    input: Any = None,
    cron: str = "",
    every: int | None = None,
    timezone: str = "UTC",
    missed: str = Schedule.Missed.ONE,
) -> Schedule:
    """A schedule whose first tick is the first after `now`; an interval is counted from `now`. Raises Invalid.

    `owner` is whose executions they will be, `actor` who is told as its maker. No input is an empty object.
    """
    made = Schedule(
        name=name, task=task, input=input, cron=cron, every=every, timezone=timezone,
        missed=missed, since=now, owner=owner, created_at=now, created_by=actor, changed_at=now,
    )  # fmt: skip
    _check(made)
    made.next_at = made.ticks.next(now)
    try:
        with transaction.atomic():
            made.save(force_insert=True)
    except IntegrityError as error:
        raise _wrong([Problem("/name", f"there is a schedule “{name}” already")]) from error
    return made


@transaction.atomic
def change(name: str, *, now: datetime, **changes: Any) -> Schedule:
    """Change what is run, or when. A new rule counts from `now`, and one kind of rule takes the place of the other.

    Raises Invalid, Schedule.DoesNotExist.
    """
    if unknown := set(changes) - CHANGEABLE:
        raise TypeError(f"a schedule has no {', '.join(sorted(unknown))} to change")
    schedule = _locked(name)
    was = schedule.ticks
    for member, value in {**_other_rule(changes), **changes}.items():
        setattr(schedule, member, value)
    schedule.changed_at = now
    _check(schedule)
    if schedule.ticks != was:
        schedule.since = now
        schedule.next_at = None if schedule.paused_at else schedule.ticks.next(now)
    schedule.save()
    return schedule


@transaction.atomic
def pause(name: str, *, now: datetime, actor: str) -> Schedule:
    """It fires no more until it is resumed; pausing it twice changes nothing. Raises Schedule.DoesNotExist."""
    schedule = _locked(name)
    if schedule.paused_at is None:
        schedule.paused_at, schedule.paused_by, schedule.next_at, schedule.changed_at = now, actor, None, now
        schedule.save()
    return schedule


@transaction.atomic
def resume(name: str, *, now: datetime) -> Schedule:
    """It goes on with the next tick after `now`. Raises Schedule.DoesNotExist."""
    schedule = _locked(name)
    if schedule.paused_at is not None:
        schedule.paused_at, schedule.paused_by, schedule.changed_at = None, "", now
        schedule.next_at = schedule.ticks.next(now)
        schedule.save()
    return schedule


@transaction.atomic
def remove(name: str, *, now: datetime) -> Schedule:
    """It fires no more, and its name is free; what it made stays. Raises Schedule.DoesNotExist."""
    schedule = _locked(name)
    schedule.removed_at, schedule.next_at, schedule.changed_at = now, None, now
    schedule.save()
    return schedule


def _locked(name: str) -> Schedule:
    rows = Schedule.objects.select_for_update(of=("self",)).select_related("task", "task__latest")
    return rows.get(name=name, removed_at=None)


def _other_rule(changes: Mapping[str, Any]) -> dict[str, Any]:
    """A new cron expression ends the interval, and a new interval the cron expression."""
    if changes.get("cron") and "every" not in changes:
        return {"every": None}
    if changes.get("every") is not None and "cron" not in changes:
        return {"cron": ""}
    return {}


def _check(schedule: Schedule) -> None:
    """Bring it into the form in which it is kept; raises Invalid with all that is wrong."""
    schedule.input = {} if schedule.input is None else schedule.input
    wrong = list(_wrong_members(schedule))
    if wrong:
        raise _wrong(wrong)


def _wrong_members(schedule: Schedule) -> Iterator[Problem]:
    if not NAME.fullmatch(schedule.name):
        yield Problem("/name", "must be lower-case letters, digits and hyphens, at most 100")
    if schedule.missed not in Schedule.Missed.values:
        yield Problem("/missed", f"must be one of {', '.join(Schedule.Missed.values)}")
    yield from _wrong_rule(schedule)
    yield from _wrong_input(schedule)


def _wrong_rule(schedule: Schedule) -> Iterator[Problem]:
    try:
        schedule.timezone = ticks.read_zone(schedule.timezone)
    except ticks.Unreadable as error:
        yield Problem("/timezone", str(error))
    if bool(schedule.cron) == (schedule.every is not None):
        message = "not with cron: a schedule has one rule" if schedule.cron else "is required where there is no cron"
        yield Problem("/every", message)
    elif schedule.cron:
        try:
            schedule.cron = ticks.read_cron(schedule.cron)
        except ticks.Unreadable as error:
            yield Problem("/cron", str(error))
    elif not 1 <= (schedule.every or 0) <= ticks.LONGEST_EVERY:
        yield Problem("/every", "must be a whole number of seconds from 1 on, of at most 366 days")


def _wrong_input(schedule: Schedule) -> Iterator[Problem]:
    task, version = schedule.task, schedule.task.latest
    if task.archived_at is not None or version is None:
        yield Problem("/task", f"the task “{task.slug}” is archived: it can no longer run")
        return
    try:
        encode(schedule.input)
    except Unfit as unfit:
        yield Problem("/input" + unfit.pointer, unfit.message)
        return
    for found in problems(version.input_schema, schedule.input):
        yield Problem("/input" + found.pointer, found.message)


def _wrong(wrong: list[Problem]) -> Invalid:
    return Invalid("The schedule cannot be kept as it is: nothing was saved.", wrong)
