"""The promise, clause by clause (docs: what Runboard promises). Short demonstrations: where a clause is proved at length, by
the machine, by the chaos run or by another file, the same thing is seen here once, as small as it can be.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, transaction
from django.test import Client
from django.utils import timezone

from executions import failpoints, queries, schedules, transitions
from executions.history.verifying import Verification
from executions.models import Event, Execution, Firing, Timer, read_clock
from executions.realtime import frames
from executions.retry import CRASH_BUDGET
from executions.states import FINAL, State
from executions.transitions import Claim, Stale
from tasks import queues
from tests.executions import lives
from tests.executions.test_concurrency import at_once
from tests.make import bring, claim_for, make_execution, make_schedule, make_task
from tests.services import House, until
from workers.runtimes import processes

LEASE = 4.0
SWEEP = 2.0


def test_p1_accepted_is_never_lost(new_house: Callable[..., House]) -> None:
    house = new_house(RUNBOARD_LEASE_SECONDS=str(LEASE))
    accepted = [house.submit("long-import", {"steps": 3, "seconds": 0.3}) for _ in range(6)]
    for name in ("worker", "redis", "scheduler"):
        house.is_back(name, since=house.kill(name))
    for pk in accepted:
        assert house.reaches(pk, *FINAL, within=60)["state"] == "completed"


@pytest.mark.django_db
def test_p2_dispatched_if_and_only_if_committed() -> None:
    task = make_task()
    with transaction.atomic():
        transitions.submit(task, input={}, now=timezone.now(), actor="user:mira")
        transaction.set_rollback(True)
    assert claim() == []
    committed = make_execution(task)
    assert [one.execution_id for one in claim()] == [committed.pk]  # no message was sent: the row is the outbox


@pytest.mark.django_db
def test_p3_one_outcome() -> None:
    execution, held = lives.running()
    transitions.complete(held, output={"first": True}, now=timezone.now())
    for later in (
        lambda: transitions.stopped(held, now=timezone.now()),
        lambda: transitions.cancel(execution.pk, now=timezone.now(), actor="user:mira"),
        lambda: transitions.terminate(execution.pk, now=timezone.now(), actor="user:mira", reason="too late"),
    ):
        with pytest.raises(transitions.Refused):
            later()
    assert (lives.fresh(execution).state, lives.fresh(execution).output) == ("completed", '{"first":true}')
    assert Event.objects.filter(execution=execution, kind__in=FINAL).count() == 1


def test_p4_a_recorded_step_runs_once(house: House) -> None:
    pk = house.submit("long-import", {"steps": 6, "seconds": 0.3})
    until(lambda: len(house.rows(f"executions/{pk}/steps/")) >= 2, what="no two steps recorded")
    before = {step["key"]: step["attempt"] for step in house.rows(f"executions/{pk}/steps/")}
    house.is_back("worker", since=house.kill("worker"))
    assert house.reaches(pk, "completed")["attempt"] == 2
    after = {step["key"]: step["attempt"] for step in house.rows(f"executions/{pk}/steps/")}
    assert {key: after[key] for key in before} == before
    assert set(after.values()) == {1, 2}


@pytest.mark.django_db
def test_p5_a_stale_worker_writes_nothing() -> None:
    execution, slow = lives.running()
    transitions.reclaim(execution.pk, token=slow.token, now=timezone.now(), actor="scheduler")
    Execution.objects.update(available_at=None)
    claim_for(lives.fresh(execution), worker="w2")
    before: dict[str, object] = dict(Execution.objects.values().get(pk=execution.pk))
    for late in (
        lambda: transitions.step(slow, key="a", occurrence=0, input_hash="", value=1, seconds=0, now=timezone.now()),
        lambda: transitions.progress(slow, fraction=0.5, message="half", now=timezone.now()),
        lambda: transitions.complete(slow, output=None, now=timezone.now()),
    ):
        with pytest.raises(Stale):
            late()
    assert transitions.renew([slow]) == {}
    after: dict[str, object] = dict(Execution.objects.values().get(pk=execution.pk))
    assert {name for name in after if after[name] != before[name]} == {"last_seq", "revision", "changed_at"}
    assert Event.objects.filter(execution=execution, kind="write_refused").count() == 3


def test_p6_recovery_takes_a_lease_and_seven_seconds_at_most(new_house: Callable[..., House]) -> None:
    house = new_house(RUNBOARD_LEASE_SECONDS=str(LEASE))
    pk = house.submit("long-import", {"steps": 30, "seconds": 1})
    house.reaches(pk, "running")
    stopped = timezone.now()
    lost = house.kill("worker", by=signal.SIGSTOP)  # alive, and silent past its lease

    def taken_back() -> dict[str, Any] | None:
        return next((event for event in house.rows(f"executions/{pk}/events/") if event["kind"] == "lost"), None)

    told = until(taken_back, within=30, what="nobody took it back")
    assert datetime.fromisoformat(told["at"]) - stopped <= timedelta(seconds=LEASE + 7)
    with contextlib.suppress(ProcessLookupError):
        os.kill(lost, signal.SIGCONT)
    assert house.reaches(pk, "running")["attempt"] == 2


@pytest.mark.django_db
def test_p6_poison_stops_after_the_crash_budget() -> None:
    execution = make_execution()
    for _ in range(CRASH_BUDGET + 1):
        Execution.objects.update(available_at=None)
        held = bring(lives.fresh(execution), State.RUNNING)
        assert held is not None
        transitions.reclaim(execution.pk, token=held.token, now=timezone.now(), actor="scheduler")
    assert (lives.fresh(execution).state, lives.fresh(execution).reason_code) == ("failed", "worker_lost")


def test_p7_waiting_holds_no_slot_and_survives_a_restart_of_everything(new_house: Callable[..., House]) -> None:
    house = new_house()
    pk = house.submit("release-assistant", {"version": "2.4.1"})
    house.reaches(pk, "waiting")
    assert house.execution(pk)["worker"] is None
    assert house.api("GET", "workers/")[1]["results"][0]["busy"] == 0
    house.stop()
    again = new_house(home=house.home)
    [question] = again.rows(f"executions/{pk}/questions/")
    assert answer(again, question["id"], "deploy") == HTTPStatus.OK
    assert again.reaches(pk, "completed")["output"]["deployed"]


def test_p8_a_double_answer_counts_once_and_says_whose_came_first(house: House) -> None:
    pk = house.submit("release-assistant", {"version": "2.4.2"})
    house.reaches(pk, "waiting")
    [question] = house.rows(f"executions/{pk}/questions/")
    assert answer(house, question["id"], "deploy") == HTTPStatus.OK
    status, refusal = house.api("POST", f"questions/{question['id']}/answer/", {"value": "hold"})
    assert status == HTTPStatus.CONFLICT
    assert "answered this already" in json.dumps(refusal, ensure_ascii=False)
    assert house.reaches(pk, "completed")["output"]["decision"] == "deploy"


@pytest.mark.django_db
def test_p8_a_signal_that_comes_early_is_kept() -> None:
    execution, held = lives.running()
    transitions.signal(execution.pk, name="paid", value=3, now=timezone.now(), actor="user:mira")
    taken = transitions.await_signal(
        held, key="s-1", occurrence=0, input_hash="", name="paid", timeout=None, now=timezone.now()
    )
    assert taken is not None
    assert taken.value == 3


@pytest.mark.django_db
def test_p9_timers_are_never_early() -> None:
    execution, held = lives.running()
    transitions.sleep(held, key="nap", occurrence=0, seconds=0.4, now=timezone.now())
    timer = Timer.objects.get(execution=execution)
    while not (due := queries.due_timers()):
        assert read_clock() < timer.due_at + timedelta(seconds=1)
    assert due == [timer.pk]
    assert read_clock() >= timer.due_at
    transitions.fire(timer.pk, now=timezone.now(), actor="scheduler")
    assert lives.fresh(execution).state == "resuming"


def test_p9_a_sleep_ends_within_a_sweep_of_its_moment(house: House) -> None:
    start = timezone.now() + timedelta(seconds=3)
    pk = house.submit("log-fountain", {"lines": 1}, start_at=start.isoformat())
    done = house.reaches(pk, "completed")
    began = datetime.fromisoformat(done["started_at"])
    assert start <= began <= start + timedelta(seconds=SWEEP + 7)


def test_p10_a_cancel_ends_and_says_cancelled_where_the_exit_was_seen(house: House) -> None:
    pk = house.submit("long-import", {"steps": 100, "seconds": 1})
    house.reaches(pk, "running")
    before = processes.tree(house.pid("worker"))
    assert house.api("POST", f"executions/{pk}/cancel/")[0] < HTTPStatus.BAD_REQUEST
    assert house.reaches(pk, *FINAL)["state"] == "cancelled"
    assert len(before) > len(processes.tree(house.pid("worker")))


@pytest.mark.django_db
def test_p10_what_nobody_saw_end_is_terminated() -> None:
    execution, _ = lives.running()
    transitions.cancel(execution.pk, now=timezone.now(), actor="user:mira")
    stop = Timer.objects.get(execution=execution, kind=Timer.Kind.STOP)
    transitions.fire(stop.pk, now=stop.due_at, actor="scheduler")
    assert lives.fresh(execution).state == "terminated"


@pytest.mark.django_db
def test_p11_history_says_what_the_row_says_and_its_seals_hold() -> None:
    execution, _ = lives.recorded()
    assert list(Verification().findings()) == []
    Execution.objects.filter(pk=execution.pk).update(retries=7)
    [finding] = Verification().findings()
    assert "retries" in finding.message


def test_p12_an_idempotency_key_makes_one_execution(house: House) -> None:
    key = f"order-{random.random()}"
    asked = {"task": "log-fountain", "input": {"lines": 1}}
    first, again = (house.api("POST", "executions/", asked, **{"Idempotency-Key": key}) for _ in range(2))
    assert (first[0], first[1]["id"]) == (HTTPStatus.CREATED, again[1]["id"])
    other = house.api("POST", "executions/", {**asked, "input": {"lines": 2}}, **{"Idempotency-Key": key})
    assert other[0] == HTTPStatus.CONFLICT


@pytest.mark.django_db(transaction=True)
def test_p13_one_execution_per_schedule_and_fire_time() -> None:
    """Schedulers at once, again and again, one of which lost its connection when the first tick was committed."""
    began = timezone.now()
    make_schedule(every=60, missed="all", now=began)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(failpoints, "ARMED", failpoints.read("after_schedule_commit=ambiguous"))
        with pytest.raises(OperationalError):
            schedules.fire_due(began + timedelta(minutes=1))
    for minutes in (1, 2, 2, 5):
        now = began + timedelta(minutes=minutes)
        at_once(*[partial(schedules.fire_due, now, patience=60)] * 3)
    ticks = [began + timedelta(minutes=minutes) for minutes in range(1, 6)]
    assert list(Firing.objects.order_by("fire_at").values_list("fire_at", flat=True)) == ticks
    assert Execution.objects.filter(firing__isnull=False).count() == Execution.objects.count() == len(ticks)


def test_p13_a_scheduler_that_was_killed_misses_no_tick_and_doubles_none(house: House) -> None:
    name = f"each-second-{random.randrange(10**9)}"
    asked = {"name": name, "task": "log-fountain", "input": {"lines": 1}, "every": 1, "missed": "all"}
    status, made = house.api("POST", "schedules/", asked)
    assert status == HTTPStatus.CREATED
    house.is_back("scheduler", since=house.kill("scheduler"))
    until(lambda: len(house.rows(f"schedules/{name}/firings/")) >= 6, within=30, what="no six ticks fired")
    assert house.api("POST", f"schedules/{name}/pause/")[0] == HTTPStatus.OK
    firings = house.rows(f"schedules/{name}/firings/")
    first = datetime.fromisoformat(made["next_at"])
    ticks = [datetime.fromisoformat(row["fire_at"]) for row in firings]
    assert ticks == [first + timedelta(seconds=n) for n in reversed(range(len(firings)))]
    assert all(datetime.fromisoformat(row["fired_at"]) >= tick for row, tick in zip(firings, ticks, strict=True))
    assert len({row["execution"] for row in firings}) == len(firings)


@pytest.mark.django_db
def test_p14_urgent_goes_first_and_nothing_starves() -> None:
    now, task = timezone.now(), make_task()
    waited_long = submit(task, now - timedelta(minutes=30), "low")
    low, normal, urgent = (submit(task, now, priority) for priority in ("low", "normal", "urgent"))
    assert [one.execution_id for one in claim(most=4)] == [waited_long, urgent, normal, low]


@pytest.mark.django_db
def test_p15_no_limit_is_exceeded() -> None:
    for _ in range(5):
        make_execution()
    queues.limit("default", most=2)
    held = claim(most=5)
    assert len(held) == 2
    assert claim(most=5) == []
    transitions.release(held[0], now=timezone.now())
    assert len(claim(most=5)) == 1


@pytest.mark.django_db
def test_p16_the_board_is_at_most_one_refetch_behind(client: Client, mira: User) -> None:
    """A board that hears of seven changes in ten, and fetches what changed when it hears of one."""
    client.force_login(mira)
    luck, shown = random.Random(16), {}
    cursor = frames.cursor(timezone.now() - timedelta(minutes=1))
    claims: list[Claim] = []

    def refetch() -> None:
        nonlocal cursor
        said = client.get("/board/changes/", {"since": cursor}).json()
        cursor = said["cursor"]
        shown.update({card["id"]: (card["version"], card["column"]) for card in said["cards"]})
        for gone in said["gone"]:
            shown.pop(gone["id"], None)

    for n in range(40):
        if n % 4 == 0:
            claims.append(bring(make_execution(input={"n": n}), State.RUNNING))  # type: ignore[arg-type]
        else:
            change(luck.choice(claims), luck)
        if luck.random() >= 0.3:
            refetch()
    refetch()
    assert shown == {
        f"execution-{row.pk}": (row.revision, "running" if row.state == State.RUNNING else row.state)
        for row in Execution.objects.all()
    }


def change(held: Claim, luck: random.Random) -> None:
    """Something that its card shows; what has ended says nothing more."""
    if Execution.objects.get(pk=held.execution_id).state != State.RUNNING:
        return
    if luck.random() < 0.2:
        transitions.complete(held, output=None, now=timezone.now())
    else:
        transitions.progress(held, fraction=luck.random(), message="on", now=timezone.now())


def claim(*, most: int = 1) -> list[Claim]:
    return transitions.claim("w1", incarnation=1, queues=["default"], offers=["python"], now=timezone.now(), most=most)


def submit(task: Any, at: Any, priority: str) -> UUID:
    return transitions.submit(task, input={}, now=at, actor="user:mira", priority=priority).execution.pk


def answer(house: House, question: str, value: str) -> int:
    return house.api("POST", f"questions/{question}/answer/", {"value": value})[0]
