"""Sweep, reap, timers: what heals a lost message and a lost worker."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.db import OperationalError
from django.utils import timezone

from executions import transitions
from executions.models import Execution, Firing, Question
from executions.states import State
from tasks.models import Schedule
from tests.make import a_question, begin, claim_for, make_execution, make_schedule, make_task
from workers import scheduler
from workers.scheduler import Scheduler

pytestmark = pytest.mark.django_db

LEASE = settings.LEASE.total_seconds()


class Bell:
    def __init__(self) -> None:
        self.rings: list[tuple[str, int]] = []

    def ring(self, queue: str, *, times: int = 1) -> None:
        self.rings.append((queue, times))


def at(*moments: float) -> Scheduler:
    ticks = iter(moments)
    last = [0.0]

    def clock() -> float:
        last[0] = next(ticks, last[0])
        return last[0]

    return Scheduler(bell=Bell(), clock=clock)  # type: ignore[arg-type]


def enlist(slots: int) -> None:
    transitions.enlist(
        "w1", host="h", pid=1, slots=slots, queues=["default"], labels={}, offers=["python"], sandbox="bwrap",
        sandbox_problem="", now=timezone.now(),
    )  # fmt: skip


def expire() -> None:
    Execution.objects.filter(lease_until__isnull=False).update(lease_until=timezone.now() - timedelta(hours=1))


def test_it_rings_for_what_is_due_but_never_more_often_than_there_are_slots() -> None:
    enlist(slots=2)
    task = make_task()
    for _ in range(5):
        make_execution(task)
    make_execution(task, start_at=timezone.now() + timedelta(hours=1))
    bell = Bell()
    scheduler.sweep(bell)  # type: ignore[arg-type]
    assert bell.rings == [("default", 2)]


def test_nothing_due_rings_nothing() -> None:
    make_execution(state=State.COMPLETED)
    bell = Bell()
    scheduler.sweep(bell)  # type: ignore[arg-type]
    assert bell.rings == []


def test_an_expired_lease_is_reclaimed() -> None:
    execution = make_execution()
    begin(claim_for(execution))
    scheduler.reap()
    execution.refresh_from_db()
    assert execution.state == "running"
    expire()
    scheduler.reap()
    execution.refresh_from_db()
    assert (execution.state, execution.reason_code) == ("resuming", "recovered")


def test_owners_get_one_lease_to_renew_before_anything_is_reaped() -> None:
    execution = make_execution()
    begin(claim_for(execution))
    expire()
    starting = at(0.0, 0.0, LEASE - 1, LEASE - 1, LEASE, LEASE)
    starting.tick()
    starting.tick()
    assert Execution.objects.get().state == "running"
    starting.tick()
    assert Execution.objects.get().state == "resuming"


def test_a_laptop_that_slept_waits_again() -> None:
    begin(claim_for(make_execution()))
    expire()
    slept = at(0.0, 0.0, LEASE * 10, LEASE * 10)
    slept.tick()
    slept.tick()
    assert Execution.objects.get().state == "running"


def test_a_database_that_was_away_starts_the_wait_again(monkeypatch: pytest.MonkeyPatch) -> None:
    ticking = at(0.0, 0.0, 5.0)
    ticking.tick()
    assert ticking.healthy_since == 0.0

    def away(bell: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(scheduler, "sweep", away)
    monkeypatch.setattr("workers.scheduler.connection.close", lambda: None)
    ticking.tick()
    assert ticking.healthy_since is None


def test_a_passed_deadline_is_acted_on() -> None:
    execution = make_execution()
    claim = claim_for(execution)
    begin(claim)
    asked = a_question(deadline=timezone.now() - timedelta(seconds=1), default="no", has_default=True)
    transitions.ask(claim, asked=asked, now=timezone.now())
    scheduler.fire_timers()
    assert Question.objects.get().state == "answered"


def test_a_schedule_fires_at_its_tick_and_the_scheduler_is_there_for_the_next() -> None:
    now = timezone.now()
    make_schedule(every=3600, now=now - timedelta(hours=1) + timedelta(seconds=0.3))
    ticking = at(1.0, 2.0)
    ticking.tick()
    assert not Execution.objects.exists()
    assert 0.1 <= ticking.pause <= 0.3
    Schedule.objects.update(since=now - timedelta(hours=1), next_at=now)
    ticking.tick()
    assert Firing.objects.get().fire_at == now
    assert ticking.pause == settings.SWEEP.total_seconds()


def test_what_was_left_of_schedules_is_looked_at_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("executions.schedules.fire_due", lambda now: True)
    ticking = at(1.0)
    ticking.tick()
    assert ticking.pause == scheduler.SHORTEST_PAUSE


def test_it_looks_again_when_the_next_thing_is_due() -> None:
    scheduler = at(1.0, 2.0)
    scheduler.tick()
    assert scheduler.pause == settings.SWEEP.total_seconds()
    make_execution(start_at=timezone.now() + timedelta(seconds=0.5))
    scheduler.tick()
    assert 0.1 <= scheduler.pause <= 0.5


def test_one_that_cannot_be_done_does_not_keep_the_others_from_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[int] = []

    def fire(timer: int, **_: object) -> None:
        if timer == 1:
            raise ValueError("nobody thought of this")
        done.append(timer)

    monkeypatch.setattr("executions.queries.due_timers", lambda: [1, 2, 3])
    monkeypatch.setattr("executions.transitions.fire", fire)
    scheduler.fire_timers()
    assert done == [2, 3]
    assert "nobody thought of this" in caplog.text
