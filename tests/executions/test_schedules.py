"""What is due → submit: one execution for each schedule and tick."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone

from executions import failpoints, queries, transitions
from executions import schedules as firing
from executions.failpoints import Failpoint
from executions.history import pruning
from executions.history.verifying import Verification
from executions.models import Event, Execution, Firing
from tasks import manifest, schedules
from tasks.models import Schedule, Task
from tests.executions.test_concurrency import at_once, many
from tests.make import make_schedule, make_task

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def fired() -> list[datetime]:
    """The ticks that have an execution, in order."""
    return list(Firing.objects.exclude(execution=None).order_by("fire_at").values_list("fire_at", flat=True))


def test_a_tick_that_has_come_makes_one_execution_however_often_it_is_looked_for(mira: User) -> None:
    schedule = make_schedule("often", every=60, input={"n": 1}, owner=mira, now=NOON)
    firing.fire_due(NOON + MINUTE - timedelta(microseconds=1))
    assert not Execution.objects.exists()
    for _ in range(3):
        firing.fire_due(NOON + MINUTE)
    execution = Execution.objects.get()
    assert (execution.input, execution.owner, execution.state) == ('{"n":1}', mira, "pending")
    assert (execution.firing.schedule, execution.firing.fire_at) == (schedule, NOON + MINUTE)
    assert Schedule.objects.get().next_at == NOON + 2 * MINUTE


def test_history_says_which_schedule_and_which_tick() -> None:
    make_schedule("often", every=60, now=NOON)
    firing.fire_due(NOON + MINUTE + timedelta(seconds=3))
    event = Event.objects.get()
    assert (event.kind, event.actor) == ("submitted", "schedule:often")
    told = json.loads(event.data)
    assert (told["schedule"], told["fire_at"]) == ("often", "2026-05-04T12:01:00+00:00")
    assert list(Verification().findings()) == []


@pytest.mark.parametrize(
    ("missed", "late", "minutes"),
    [
        ("one", timedelta(hours=1), [60]),
        ("skip", timedelta(minutes=5, seconds=30), [5]),
        ("all", timedelta(minutes=4), [1, 2, 3, 4]),
        ("all", timedelta(minutes=150), list(range(51, 151))),
    ],
)
def test_what_was_missed_each_minute(missed: str, late: timedelta, minutes: list[int]) -> None:
    make_schedule(every=60, missed=missed, now=NOON)
    assert firing.fire_due(NOON + late, patience=60) is False
    assert fired() == [NOON + n * MINUTE for n in minutes]
    assert Schedule.objects.get().next_at == NOON + (late // MINUTE + 1) * MINUTE


@pytest.mark.parametrize(("late", "count"), [(timedelta(seconds=59), 1), (timedelta(seconds=61), 0)])
def test_a_schedule_that_skips_fires_what_is_at_most_a_minute_late(late: timedelta, count: int) -> None:
    make_schedule(cron="0 13 * * *", missed="skip", now=NOON)
    firing.fire_due(NOON + timedelta(hours=1) + late)
    assert len(fired()) == count
    assert Schedule.objects.get().next_at == NOON + timedelta(hours=25)


def test_what_was_paused_was_not_missed() -> None:
    make_schedule("often", every=60, missed="all", now=NOON)
    schedules.pause("often", now=NOON, actor="user:mira")
    firing.fire_due(NOON + 10 * MINUTE)
    schedules.resume("often", now=NOON + 10 * MINUTE)
    firing.fire_due(NOON + 11 * MINUTE)
    assert fired() == [NOON + 11 * MINUTE]


def test_a_removed_schedule_fires_no_more() -> None:
    make_schedule("often", every=60, now=NOON)
    schedules.remove("often", now=NOON)
    firing.fire_due(NOON + timedelta(days=1))
    assert not Firing.objects.exists()


def test_through_both_changes_of_the_clock_a_daily_schedule_runs_once_a_day() -> None:
    begin = datetime(2026, 3, 28, 12, tzinfo=UTC)
    make_schedule(cron="30 2 * * *", timezone="Europe/Berlin", now=begin)
    for hours in range(24 * 3):
        firing.fire_due(begin + timedelta(hours=hours))
    assert [tick.strftime("%d %H:%M") for tick in fired()] == ["29 01:00", "30 00:30", "31 00:30"]
    Schedule.objects.update(next_at=datetime(2026, 10, 25, 0, 30, tzinfo=UTC))
    for minutes in range(0, 60 * 30, 15):
        firing.fire_due(datetime(2026, 10, 24, 22, tzinfo=UTC) + timedelta(minutes=minutes))
    assert [tick.strftime("%d %H:%M") for tick in fired()[3:]] == ["25 00:30", "26 01:30"]


@pytest.mark.parametrize("why", ["archived", "input"])
def test_a_refused_submission_is_a_firing_too_and_is_not_tried_again(why: str, caplog: Any) -> None:
    task = make_task()
    make_schedule("often", task=task, every=60, now=NOON)
    if why == "archived":
        manifest.amend(task, now=NOON, archived=True)
    else:
        strict = {"type": "object", "required": ["name"]}
        document = {"kind": "script", "runtime": "python", "source": "x", "input_schema": strict}
        manifest.add_version(task, document, now=NOON, by="test")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            firing.fire_due(NOON + MINUTE)
    refused = Firing.objects.get()
    assert {"archived": "is archived", "input": "/input/name is required"}[why] in refused.refused
    assert (refused.execution, Schedule.objects.get().next_at) == (None, NOON + 2 * MINUTE)
    assert "schedule:often" in caplog.text
    manifest.amend(Task.objects.get(), now=NOON, archived=False)


def test_of_many_refusals_the_last_hundred_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firing, "MOST_REFUSED", 3)
    task = make_task()
    make_schedule("often", task=task, every=60, now=NOON)
    manifest.amend(task, now=NOON, archived=True)
    for n in range(1, 8):
        firing.fire_due(NOON + n * MINUTE)
    assert [row.fire_at for row in Firing.objects.all()] == [NOON + n * MINUTE for n in (7, 6, 5)]


def test_a_clock_that_was_set_back_fires_no_tick_twice() -> None:
    make_schedule("often", every=60, now=NOON)
    firing.fire_due(NOON + MINUTE)
    Schedule.objects.update(next_at=NOON + MINUTE)
    firing.fire_due(NOON + MINUTE)
    assert (fired(), Schedule.objects.get().next_at) == ([NOON + MINUTE], NOON + 2 * MINUTE)


def test_the_database_refuses_a_second_firing_of_a_tick() -> None:
    schedule = make_schedule(every=60, now=NOON)
    firing.fire_due(NOON + MINUTE)
    with pytest.raises(IntegrityError), transaction.atomic():
        Firing.objects.create(schedule=schedule, fire_at=NOON + MINUTE, fired_at=NOON, refused="again")


def test_one_that_cannot_be_fired_holds_up_no_other(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    make_schedule("bad", every=60, now=NOON)
    make_schedule("good", every=60, now=NOON)
    submit = transitions.submit

    def half(task: Task, *, actor: str, **how: Any) -> Any:
        if actor == "schedule:bad":
            raise KeyError("a fault of ours")
        return submit(task, actor=actor, **how)

    monkeypatch.setattr(transitions, "submit", half)
    assert firing.fire_due(NOON + MINUTE) is False
    assert Firing.objects.get().schedule.name == "good"
    assert "could not be fired" in caplog.text
    assert Schedule.objects.get(name="bad").next_at == NOON + MINUTE  # nothing of it was kept


def test_when_its_patience_ends_something_is_left_for_the_next_look() -> None:
    for n in range(3):
        make_schedule(f"often-{n}", every=60, now=NOON)
    assert firing.fire_due(NOON + MINUTE, patience=-1) is True
    assert len(fired()) == 1
    assert firing.fire_due(NOON + MINUTE, patience=60) is False
    assert len(fired()) == 3


@pytest.mark.parametrize("place", ["before_schedule_commit", "after_schedule_commit", "before_submit_commit"])
@pytest.mark.django_db(transaction=True)
def test_a_tick_survives_a_connection_that_dies_with_the_answer(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make_schedule("often", every=60, now=NOON)
    monkeypatch.setattr(failpoints, "ARMED", Failpoint(place, action="ambiguous"))
    with pytest.raises(Exception, match="the connection died"):
        firing.fire_due(NOON + MINUTE)
    firing.fire_due(NOON + MINUTE)
    assert fired() == [NOON + MINUTE]
    assert Execution.objects.count() == 1


@pytest.mark.timeout(300)
@pytest.mark.django_db(transaction=True)
def test_schedulers_at_once_fire_each_tick_once() -> None:
    task = make_task()
    for n in range(5):
        make_schedule(f"often-{n}", task=task, every=60, missed="all", now=NOON)
    look: Callable[[], Any] = lambda: firing.fire_due(NOON + 4 * MINUTE, patience=60)  # noqa: E731
    at_once(*[look] * many())
    assert fired() == sorted([NOON + n * MINUTE for n in (1, 2, 3, 4)] * 5)
    assert Execution.objects.count() == 20


@pytest.mark.django_db(transaction=True)
def test_a_change_and_a_firing_at_once_leave_one_next_tick() -> None:
    make_schedule("often", every=60, now=NOON)
    now = NOON + MINUTE
    at_once(lambda: firing.fire_due(now), lambda: schedules.change("often", now=now, every=120))
    assert Schedule.objects.get().next_at == now + 2 * MINUTE


def test_a_pruned_execution_takes_its_firing_along() -> None:
    make_schedule(every=60, now=NOON)
    firing.fire_due(NOON + MINUTE)
    execution = Execution.objects.get()
    transitions.cancel(execution.pk, now=NOON + MINUTE, actor="user:mira")
    assert pruning.prune(execution.pk, why="retention", now=timezone.now())
    assert not Firing.objects.exists()
    firing.fire_due(NOON + MINUTE)
    assert not Execution.objects.exists()


def test_the_scheduler_is_told_when_the_next_tick_comes() -> None:
    now = queries.present()
    make_schedule(every=60, now=now)
    due_in = queries.next_moment(after=now)
    assert due_in is not None
    assert 55 < due_in <= 60
    assert queries.next_moment(after=now + MINUTE) is None
