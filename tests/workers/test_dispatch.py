"""The wake-up: sent to a real Redis, bounded by slots, and never waited for."""

import time
from typing import Any

import pytest
from django.utils import timezone

from executions import transitions
from executions.events import Change
from tests.make import make_execution
from workers import dispatch
from workers.dispatch import Bell, Publisher


def enlist(slots: int) -> None:
    transitions.enlist(
        "w1", host="h", pid=1, slots=slots, queues=["default"], labels={}, offers=["python"], sandbox="bwrap",
        sandbox_problem="", now=timezone.now(),
    )  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_wake_ups_never_outnumber_slots(redis: Any) -> None:
    enlist(slots=3)
    publisher = Publisher()
    for _ in range(5):
        publisher.publish("default", 2)
    assert redis.llen("wake.default") == 3
    publisher.close()


@pytest.mark.django_db(transaction=True)
def test_without_workers_one_wake_up_waits(redis: Any) -> None:
    publisher = Publisher()
    publisher.publish("default", 5)
    assert redis.llen("wake.default") == 1
    publisher.close()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("state", "is_due", "rings"), [("pending", True, 1), ("pending", False, 0), ("running", True, 0)]
)
def test_only_what_can_be_claimed_now_rings(
    monkeypatch: pytest.MonkeyPatch, state: str, is_due: bool, rings: int
) -> None:
    rung: list[str] = []
    monkeypatch.setattr(dispatch.BELL, "ring", rung.append)
    execution = make_execution()
    change = Change(execution.pk, 1, "submitted", state, "default", is_due, 0)
    dispatch.on_committed("executions", change=change)
    assert rung == ["default"] * rings


def test_ringing_never_waits_for_redis() -> None:
    def hangs(queue: str, times: int) -> None:
        time.sleep(30)

    bell = Bell(publish=hangs)
    began = time.monotonic()
    for _ in range(1000):
        bell.ring("default")
    assert time.monotonic() - began < 1


def test_rings_that_wait_together_are_one() -> None:
    heard: list[tuple[str, int]] = []
    bell = Bell(publish=lambda queue, times: heard.append((queue, times)))
    bell.ring("a", times=2)
    limit = time.monotonic() + 5
    while not heard and time.monotonic() < limit:
        time.sleep(0.01)
    assert heard[0] == ("a", 2)
