"""Steps with options: tried again with one idempotency key, and interrupted when they take too long."""

import asyncio
import contextlib
import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import timedelta
from typing import Any

import pytest

from tasks import sdk as runboard
from tasks.sdk import testing
from tasks.sdk.channel import Channel
from tasks.sdk.context import current_run
from tasks.sdk.limit import limited

QUICK: dict[str, Any] = {"max_retries": 3, "retry_interval": 0.01}


def failing(times: int, error: Exception, keys: list[str]) -> Callable[[], str]:
    def work() -> str:
        keys.append(runboard.context.idempotency_key)
        if len(keys) <= times:
            raise error
        return "done"

    return work


def test_a_step_is_tried_again_with_the_same_idempotency_key_and_recorded_once() -> None:
    keys: list[str] = []
    result = testing.run(lambda: runboard.options(**QUICK).step("charge", failing(2, ValueError("no"), keys)))
    assert result.output == "done"
    assert keys == ["test:charge:0"] * 3
    assert result.steps == {"charge": "done"}
    assert result.log == [
        "step “charge” failed, again in 0.01 s (retry 1 of 3): ValueError: no",
        "step “charge” failed, again in 0.02 s (retry 2 of 3): ValueError: no",
    ]


def test_the_idempotency_key_is_the_same_over_retries_and_attempts() -> None:
    keys: list[str] = []

    def main() -> str:
        try:
            return str(runboard.options(**QUICK).step("charge", failing(4, ValueError("no"), keys)))
        except ValueError:
            runboard.sleep(1)  # the next attempt
            return str(runboard.step("charge", failing(4, ValueError("no"), keys)))

    result = testing.run(main)
    assert result.output == "done"
    assert result.attempts == 2
    assert keys == ["test:charge:0"] * 5


@pytest.mark.parametrize("error", [runboard.Fatal("never"), runboard.Misuse("wrong")])
def test_what_is_fatal_is_not_tried_again(error: Exception) -> None:
    keys: list[str] = []
    with pytest.raises(type(error)):
        testing.run(lambda: runboard.options(**QUICK).step("charge", failing(9, error, keys)))
    assert len(keys) == 1


def test_the_last_error_is_raised_when_the_retries_are_used() -> None:
    keys: list[str] = []
    with pytest.raises(ValueError, match="no"):
        testing.run(lambda: runboard.options(**QUICK).step("charge", failing(9, ValueError("no"), keys)))
    assert len(keys) == 4


def test_a_step_that_blocks_is_interrupted() -> None:
    began = time.monotonic()
    with pytest.raises(runboard.StepTimeout, match=r"step “hang” took longer than 0\.1 s"):
        testing.run(lambda: runboard.options(timeout=0.1).step("hang", lambda: time.sleep(20)))
    assert time.monotonic() - began < 5


def test_code_that_catches_every_exception_is_interrupted_all_the_same() -> None:
    def stubborn() -> None:
        while True:
            with contextlib.suppress(Exception):
                time.sleep(0.01)

    with pytest.raises(runboard.StepTimeout):
        testing.run(lambda: runboard.options(timeout=0.1).step("hang", stubborn))


def test_a_step_that_took_too_long_is_tried_again() -> None:
    waits = iter([20, 0])

    def main() -> Any:
        return runboard.options(timeout=0.5, max_retries=1, retry_interval=0).step(
            "slow", lambda: time.sleep(next(waits))
        )

    assert testing.run(main).steps == {"slow": None}


def test_of_limits_inside_each_other_the_first_that_ends_is_told() -> None:
    def main(outer: float, inner: float) -> Any:
        within = runboard.options(timeout=inner)
        return runboard.options(timeout=outer).step("outer", lambda: within.step("inner", lambda: time.sleep(20)))

    with pytest.raises(runboard.StepTimeout, match=r"step “outer” took longer than 0\.1 s"):
        testing.run(main, {"outer": 0.1, "inner": 10})
    with pytest.raises(runboard.StepTimeout, match=r"step “inner” took longer than 0\.1 s"):
        testing.run(main, {"outer": 10, "inner": 0.1})


def test_of_a_limit_that_was_kept_nothing_is_left() -> None:
    def main() -> None:
        step = runboard.options(timeout=60).step
        for n in range(20):
            step(f"quick-{n}", int)
        assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
        with ThreadPoolExecutor(4) as pool:
            work = [pool.submit(copy_context().run, step, f"part-{n}", int) for n in range(20)]
            assert [part.result() for part in work] == [0] * 20
        for thread in threading.enumerate():
            if thread.name == "limit":
                thread.join(10)
                assert not thread.is_alive()

    before = signal.getsignal(signal.SIGALRM)
    testing.run(main)
    if callable(before):
        assert signal.getsignal(signal.SIGALRM) == before


def test_a_frame_is_not_cut_in_two_by_a_limit() -> None:
    """A limit that is over while a frame is under way interrupts once that is told."""
    ours, theirs = socket.socketpair()
    line = Channel(theirs.fileno())
    line._lock.acquire()
    told: list[str] = []

    def work() -> None:
        until = time.monotonic() + 0.3
        while time.monotonic() < until:
            time.sleep(0.01)
        told.append("not while the frame was under way")
        line._lock.release()
        time.sleep(20)

    with ours, theirs, pytest.raises(runboard.StepTimeout):
        limited(work, seconds=0.05, line=line, what="it")
    assert told


def test_a_step_in_a_thread_is_interrupted_between_its_instructions() -> None:
    def busy() -> None:
        while True:
            time.sleep(0.01)

    def main() -> str:
        told: list[str] = []

        def work() -> None:
            try:
                runboard.options(timeout=0.1).step("hang", busy)
            except runboard.StepTimeout as error:
                told.append(str(error))

        thread = threading.Thread(target=copy_context().run, args=(work,))
        thread.start()
        thread.join(10)
        return told[0]

    assert testing.run(main).output == "step “hang” took longer than 0.1 s"


def test_an_async_step_is_tried_again_and_interrupted_where_it_awaits() -> None:
    waits = iter([20, 0])

    async def fetch(n: int) -> int:
        await asyncio.sleep(next(waits))
        return n

    async def main() -> Any:
        return await runboard.options(timeout=timedelta(seconds=0.5), **QUICK).step("fetch", fetch, 4)

    assert testing.run(main).output == 4
    waits = iter([20])
    with pytest.raises(runboard.StepTimeout, match="step “fetch” took longer"):
        testing.run(lambda: runboard.options(timeout=0.1).step("fetch", fetch, 4))


def test_an_async_steps_own_timeout_is_its_own() -> None:
    async def fetch() -> None:
        raise TimeoutError("theirs")

    with pytest.raises(TimeoutError, match="theirs") as raised:
        testing.run(lambda: runboard.options(timeout=5).step("fetch", fetch))
    assert type(raised.value) is TimeoutError


def test_a_record_of_another_input_is_used_where_the_author_says_so() -> None:
    values = iter([1, 2])

    def main(**how: Any) -> Any:
        number = runboard.options(**how).step("draw", abs, next(values))
        runboard.sleep(1)
        return number

    assert testing.run(main, {"on_diverged": "use"}).output == 1
    values = iter([1, 2])
    with pytest.raises(AssertionError, match="draw"):
        testing.run(main)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"max_retries": -1}, "max_retries"),
        ({"max_retries": 1.5}, "max_retries"),
        ({"retry_interval": -1}, "retry_interval"),
        ({"backoff_multiplier": 0.5}, "backoff_multiplier"),
        ({"timeout": 0}, "more than 0"),
        ({"timeout": "5"}, "a timeout"),
        ({"on_diverged": "shrug"}, "fail or use"),
    ],
)
def test_options_without_sense_are_refused(how: Any, words: str) -> None:
    with pytest.raises(runboard.Misuse, match=words):
        runboard.options(**how)


def test_a_wait_between_tries_has_an_end() -> None:
    options = runboard.options(max_retries=5000, retry_interval=1, backoff_multiplier=10)

    def main() -> float:
        run = current_run.get()
        assert run is not None
        moment = type("Moment", (), {"key": "a", "run": run})()
        return options._wait(moment, ValueError("no"), 4000)

    assert testing.run(main).output == 300
