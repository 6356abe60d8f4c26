"""Registered actions in warm helpers: quick, the same frames, and replaced when anything is odd."""

import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.policy import Level, Limits, Security
from tasks.sdk.protocol import Ask, AwaitSignal, Frame, Hello, Output, Progress, Run, Sleep, Step
from tests.workers.runtimes.conftest import Played, attend
from workers.runtimes import Lines, Memo, Order, Sandbox, processes
from workers.runtimes.actions import registered
from workers.runtimes.in_process import InProcessRuntime

MODULE = "tests.workers.runtimes.operators_actions"
Act = Callable[..., Played]


def action(handler: str, **members: Any) -> Order:
    known: dict[str, Any] = {
        "execution": "e1",
        "attempt": 1,
        "task": "some-task",
        "kind": "action",
        "runtime": "",
        "handler": handler,
    }
    return Order(**(known | {"security": Security(level=Level.LOW)} | members))


@pytest.fixture
def runtime() -> Iterator[InProcessRuntime]:
    before = len(list(Path("/proc/self/fd").iterdir()))
    runtime = InProcessRuntime(modules=[MODULE, "tests.no_such_module"], spare=1)
    runtime.warm()
    yield runtime
    runtime.close()
    deadline = time.monotonic() + 5
    while _helpers() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert _helpers() == []
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1


@pytest.fixture
def act(runtime: InProcessRuntime) -> Act:
    def run(handler: str, *, on: Any = None, **members: Any) -> Played:
        return attend(runtime.prepare(action(handler, **members)), on=on)

    return run


def test_an_action_speaks_the_same_frames(act: Act) -> None:
    played = act("test.greet", input={"name": "Ada"})
    assert played.output == {"greeting": "hello Ada"}
    assert isinstance(played.frames[0], Hello)
    assert played.text == "greeting Ada"
    assert played.all(Progress) == [Progress(0.5, "half")]
    assert [step.value for step in played.all(Step)] == ["hello Ada"]
    assert played.all(Output)


def test_a_helper_that_ended_well_or_with_an_error_serves_again(act: Act) -> None:
    first = act("test.pid").output
    assert act("test.gateway").error.retryable is True
    assert act("test.pid").output == first


def test_an_action_waits_as_a_script_does(act: Act) -> None:
    first = act("test.wait")
    assert first.all(Sleep) == [Sleep("sleep-1", 0, seconds=60)]
    assert "step “nap” failed, again in 0 s" in first.text
    assert first.seconds < 10
    memo = (*first.memo, Memo("sleep-1", 0, "sleep", "", None))
    [child] = act("test.wait", memo=memo).all(Run)
    ended = {"execution": "e2", "number": 2, "state": "completed", "output": "done", "error": None}
    memo += (Memo("run-1", 0, "run", child.input_hash, [ended]),)
    [signal] = act("test.wait", memo=memo).all(AwaitSignal)
    memo += (Memo("signal-1", 0, "signal", signal.input_hash, {"value": 12}),)
    assert act("test.wait", memo=memo).output == ["done", 12]


def test_a_question_ends_the_helper_and_the_answer_goes_on(act: Act) -> None:
    before = act("test.pid").output
    [question] = act("test.ask").all(Ask)
    assert question.kind == "choice"
    assert act("test.ask", memo=(Memo("ask-1", 0, "ask", "", "b"),)).output == "b"
    assert act("test.pid").output != before


def test_an_unknown_action_names_those_there_are_and_what_went_wrong(act: Act) -> None:
    error = act("test.dance").error
    assert error.type == "Fatal"
    assert "“test.dance”" in error.message
    assert "test.gateway, test.greet" in error.message
    assert "tests.no_such_module could not be imported: ModuleNotFoundError" in error.message


def test_a_helper_holds_no_secret_of_the_house(act: Act, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SECRET_KEY", "DATABASE_URL", "REDIS_URL", "RUNBOARD_ADMIN_PASSWORD", "DJANGO_SETTINGS_MODULE"):
        monkeypatch.setenv(name, "canary")
    runtime = InProcessRuntime(modules=[MODULE])
    seen = attend(runtime.prepare(action("test.environment", environment_variables={"COLOUR": "red"}))).output
    runtime.close()
    assert "canary" not in seen.values()
    assert (seen["COLOUR"], seen["EXECUTION_ID"], seen["TASK_ID"]) == ("red", "e1", "some-task")


def test_variables_of_one_attempt_are_gone_in_the_next(act: Act) -> None:
    first = act("test.environment", environment_variables={"COLOUR": "red"}).output
    act("test.change_environment")
    second = act("test.environment").output
    assert first.pop("COLOUR") == "red"
    assert second == first


def test_the_clock_ends_an_action_and_its_helper(act: Act) -> None:
    before = act("test.pid").output
    played = act("test.hang", limits=Limits(timeout_seconds=0.2))
    assert (played.exit.cause, played.exit.signal) == ("timeout", 9)
    assert act("test.pid").output != before


def test_a_cancel_lets_an_action_clean_up(act: Act) -> None:
    def stop(frame: Frame, sandbox: Sandbox) -> None:
        if isinstance(frame, Lines) and frame.lines[0].text == "ready":
            sandbox.stop(grace=5)

    played = act("test.polite", on=stop)
    assert played.text == "ready\ncleaned up"
    assert (played.exit.cause, played.exit.code) == ("stopped", 1)
    assert played.error.type == "Cancelled"
    assert act("test.greet").exit.is_clean


def test_what_an_action_leaves_running_is_killed(act: Act) -> None:
    left = act("test.leave_a_child").output
    deadline = time.monotonic() + 5
    while not _is_gone(left) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert _is_gone(left)


def test_an_action_that_ends_its_process_is_a_bad_end_and_no_more(act: Act) -> None:
    played = act("test.exit")
    assert (played.exit.code, played.exit.is_clean) == (9, False)
    assert act("test.greet").exit.is_clean


def test_an_action_keeps_to_its_memory(act: Act) -> None:
    assert act("test.memory", limits=Limits(memory=100 * 2**20)).exit.cause == "memory"


def test_a_helper_killed_while_it_waits_is_replaced(act: Act) -> None:
    os.kill(act("test.pid").output, signal.SIGKILL)
    time.sleep(0.05)
    assert act("test.greet").exit.is_clean


def test_helpers_die_with_their_worker() -> None:
    program = f"""
import time
from workers.runtimes.in_process import InProcessRuntime
runtime = InProcessRuntime(modules=[{MODULE!r}], spare=2)
runtime.warm()
print("up", flush=True)
time.sleep(60)
"""
    worker = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=Path(__file__).parents[3])
    assert worker.stdout is not None
    with worker.stdout:
        worker.stdout.readline()
        children = processes.tree(worker.pid)[1:]
        assert len(children) == 2
        worker.kill()
        worker.wait()
    deadline = time.monotonic() + 5
    while not all(map(_is_gone, children)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert all(map(_is_gone, children))


def test_a_warm_helper_answers_within_milliseconds(act: Act) -> None:
    """Generous: the machine may be busy. The figure itself is measured by the bench."""
    act("test.greet")
    times = []
    for _ in range(20):
        began = time.perf_counter()
        act("test.greet")
        times.append(time.perf_counter() - began)
    assert statistics.median(times) < 0.05


def test_marked_functions_alone_are_actions() -> None:
    found = registered([MODULE])
    assert "test.greet" in found.functions
    assert not any("unmarked" in name for name in found.functions)
    assert found.problems == ()


def _helpers() -> list[int]:
    """Ours; not those of a house that other tests started."""
    return [
        pid
        for pid in processes.everyone()
        if "workers.runtimes.helper" in processes.read(f"/proc/{pid}/cmdline")
        and f"\nPPid:\t{os.getpid()}\n" in processes.read(f"/proc/{pid}/status")
    ]


def _is_gone(pid: int) -> bool:
    state = processes.read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return not state or state[0] == "Z"
