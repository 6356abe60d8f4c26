"""The slots of a process: how many run, who takes what, and what becomes of what nobody takes."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from workers.slots import Slots


def test_slots_are_never_exceeded_and_take_until_nothing_is_due() -> None:
    todo, running, most, done = list(range(20)), [0], [0], threading.Event()
    lock = threading.Lock()

    def claim(free: int) -> Any:
        with lock:
            assert 1 <= free <= 3 - running[0]
            taken, todo[:] = todo[:free], todo[free:]
            return taken

    def work(_: Any) -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.01)
        with lock:
            running[0] -= 1
            if not todo:
                done.set()

    slots = Slots(count=3, claim=claim, run=work)
    slots.wake(times=10)
    assert done.wait(10)
    assert slots.wait_idle(5)
    assert most[0] <= 3
    slots.drain()
    todo.append(1)
    slots.wake()
    assert slots.wait_idle(1)
    assert todo == [1]


def test_a_slot_claims_for_all_that_are_free_and_hands_over_what_it_got() -> None:
    asked: list[int] = []
    together = threading.Barrier(4)

    def claim(free: int) -> Any:
        asked.append(free)
        return ["a", "b", "c"] if len(asked) == 1 else []

    def run(_: Any) -> None:
        together.wait(10)

    slots = Slots(count=4, claim=claim, run=run)
    slots.wake()
    assert together.wait(10) is not None  # all three run at once
    assert slots.wait_idle(10)
    assert asked[0] == 4


def test_a_wake_up_during_a_look_is_not_lost() -> None:
    looking, go_on, todo, done = threading.Event(), threading.Event(), ["late"], threading.Event()

    def claim(free: int) -> Any:
        if not looking.is_set():
            looking.set()
            go_on.wait(10)
            return []
        return [todo.pop()] if todo else []

    slots = Slots(count=2, claim=claim, run=lambda _: done.set())
    slots.wake()
    assert looking.wait(10)
    slots.wake()
    go_on.set()
    assert done.wait(10)


def test_a_claim_that_fails_gives_its_places_back(caplog: pytest.LogCaptureFixture) -> None:
    asked: list[int] = []

    def claim(free: int) -> Any:
        asked.append(free)
        if len(asked) == 1:
            raise RuntimeError("the database did not answer")
        return []

    slots = Slots(count=3, claim=claim, run=lambda _: None)
    for looks in (1, 2):
        slots.wake()
        deadline = time.monotonic() + 10
        while len(asked) < looks and time.monotonic() < deadline:
            time.sleep(0.01)
        assert slots.wait_idle(10)
    assert asked == [3, 3]


def test_what_was_claimed_ahead_is_run_by_the_next_slot_that_ends() -> None:
    todo, done, running = list(range(40)), [], threading.Semaphore(2)

    def claim(free: int) -> Any:
        taken, todo[:] = todo[: free + 16], todo[free + 16 :]
        return taken

    def run(claim: Any) -> None:
        assert running.acquire(blocking=False), "more run than there are slots"
        time.sleep(0.001)
        done.append(claim)
        running.release()

    slots = Slots(count=2, claim=claim, run=run)
    slots.wake()
    deadline = time.monotonic() + 10
    while len(done) < 40 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert slots.wait_idle(5)
    assert sorted(done) == list(range(40))


def test_what_was_claimed_ahead_and_not_begun_is_given_back() -> None:
    begun, go_on = threading.Event(), threading.Event()
    claims: list[Any] = [["a", "b", "c"]]

    def run(_: Any) -> None:
        begun.set()
        go_on.wait(10)

    slots: Any = Slots(count=1, claim=lambda _: claims.pop() if claims else [], run=run)
    slots.wake()
    assert begun.wait(10)
    assert slots.waiting() == ["b", "c"]
    assert slots.late(after=60) == []
    assert slots.late(after=0) == ["b", "c"]
    assert slots.waiting() == []
    go_on.set()
    assert slots.wait_idle(5)


def test_a_drain_gives_back_what_was_not_begun() -> None:
    begun, go_on = threading.Event(), threading.Event()
    claims: list[Any] = [["a", "b"]]

    def run(_: Any) -> None:
        begun.set()
        go_on.wait(10)

    slots: Any = Slots(count=1, claim=lambda _: claims.pop() if claims else [], run=run)
    slots.wake()
    assert begun.wait(10)
    assert slots.drain() == ["b"]
    go_on.set()
    assert slots.wait_idle(5)


def test_slots_that_are_woken_and_do_not_look_are_stuck() -> None:
    looking, go_on = threading.Event(), threading.Event()

    def claim(_: int) -> Any:
        looking.set()
        go_on.wait(10)
        return []

    slots = Slots(count=1, claim=claim, run=lambda _: None)
    assert not slots.is_stuck(after=0)
    slots.wake()
    assert looking.wait(10)
    assert not slots.is_stuck(after=60)
    go_on.set()
