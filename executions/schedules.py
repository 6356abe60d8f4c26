"""What is due by the clock → submit.

Guarantee: one execution for each schedule and tick, with any number of schedulers, however often they crash or are started
again. The execution, the firing that proves it and the schedule's next tick are one transaction under the schedule's lock;
behind the lock, the database refuses a second firing of a tick. A submission that is refused is a firing too: it is not tried
again. Nothing fires before its tick, by the clock that the caller read.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta

from django.db import InterfaceError, OperationalError, transaction

from executions import failpoints, transitions
from executions.models import Firing
from executions.transitions import Refused
from tasks.models import Schedule
from tasks.schema import Invalid

logger = logging.getLogger(__name__)

ON_TIME = timedelta(minutes=1)  # later than this, a tick was missed
MOST_MISSED = 100  # fired afterwards, of one schedule
MOST_REFUSED = 100  # kept, of one schedule
PATIENCE = 1.0  # seconds of firing at a time: other due work is not kept waiting
BATCH = 100
LONGEST_REASON = 1000


def fire_due(now: datetime, *, patience: float = PATIENCE) -> bool:
    """Fire every schedule whose tick has come by `now`, the database's clock; whether the patience ended before they did.

    One that cannot be fired by a fault of ours is logged and left for the next look; it holds up no other.
    """
    until, failed = time.monotonic() + patience, set[int]()
    while due := list(Schedule.objects.due(now).exclude(pk__in=failed).values_list("pk", flat=True)[:BATCH]):
        for pk in due:
            try:
                fire(pk, now=now)
            except (OperationalError, InterfaceError):
                raise
            except Exception:
                logger.exception("schedule %s could not be fired", pk)
                failed.add(pk)
            if time.monotonic() > until:
                return True
    return False


def fire(pk: int, *, now: datetime) -> Firing | None:
    """Fire one tick of a schedule, and move it on; None where none is due any more, or none of the due ones counts."""
    with transaction.atomic():
        rows = Schedule.objects.select_for_update(of=("self",)).select_related("task", "task__latest", "owner")
        schedule = rows.filter(pk=pk, next_at__lte=now).first()
        if schedule is None:
            return None
        fired = _fired(schedule, now)
        failpoints.before_commit("schedule", fired)
    failpoints.after_commit("schedule", fired)
    return fired


def _fired(schedule: Schedule, now: datetime) -> Firing | None:
    tick, following = _due(schedule, now)
    Schedule.objects.filter(pk=schedule.pk).update(next_at=following)
    if tick is None or Firing.objects.filter(schedule=schedule, fire_at=tick).exists():
        return None
    return _submitted(schedule, tick, now)


def _due(schedule: Schedule, now: datetime) -> tuple[datetime | None, datetime | None]:
    """The tick to fire, if any, and the next one to look at: by what is to become of those that were missed."""
    ticks, following = schedule.ticks, schedule.ticks.next(now)
    catches_up = schedule.missed == Schedule.Missed.ALL
    assert schedule.next_at is not None
    due = ticks.latest(schedule.next_at, now, most=MOST_MISSED if catches_up else 1)
    if not due:
        return None, following
    if catches_up:
        return due[0], due[1] if len(due) > 1 else following
    is_missed = now - due[-1] > ON_TIME
    return (None if is_missed and schedule.missed == Schedule.Missed.SKIP else due[-1]), following


def _submitted(schedule: Schedule, tick: datetime, now: datetime) -> Firing:
    actor = f"schedule:{schedule.name}"
    firing = Firing(schedule=schedule, fire_at=tick, fired_at=now)
    try:
        firing.execution = transitions.submit(
            schedule.task, input=schedule.input, now=now, actor=actor, owner=schedule.owner,
            told={"schedule": schedule.name, "fire_at": tick.isoformat()},
        ).execution  # fmt: skip
    except (Refused, Invalid) as refused:
        firing.refused = _why(refused)
        logger.warning("%s at %s was refused: %s", actor, tick.isoformat(), firing.refused)
    firing.save(force_insert=True)
    if firing.refused:
        _forget_old_refusals(schedule)
    return firing


def _why(refused: Refused | Invalid) -> str:
    wrong = [] if isinstance(refused, Refused) else refused.problems
    places = [f"{problem.pointer or 'it'} {problem.message}" for problem in wrong]
    return " ".join([refused.message, *places])[:LONGEST_REASON]


def _forget_old_refusals(schedule: Schedule) -> None:
    """A schedule of a task that can no longer run is refused for as long as nobody looks."""
    refusals = Firing.objects.filter(schedule=schedule, execution=None).order_by("-fire_at")
    if oldest := list(refusals.values_list("fire_at", flat=True)[MOST_REFUSED : MOST_REFUSED + 1]):
        refusals.filter(fire_at__lte=oldest[0]).delete()
