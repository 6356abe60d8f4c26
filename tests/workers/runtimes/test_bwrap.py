"""Python and shell tasks from end to end in real sandboxes."""

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.policy import Limits
from tasks.sdk.protocol import (
    Ask,
    AwaitSignal,
    Checkpoint,
    Diverged,
    Error,
    Frame,
    Hello,
    Output,
    Progress,
    Run,
    Sleep,
    Step,
)
from tests.workers.runtimes.conftest import Played, attend, order
from workers.runtimes import EnvironmentFailed, EnvironmentUnavailable, Lines, Memo, Runtime, Sandbox
from workers.runtimes.bwrap import BwrapRuntime

Play = Callable[..., Played]

ASSISTANT = """
import runboard

@runboard.task
def main(version="2.4.1"):
    print("checking")
    number = runboard.step("check", lambda v: {"version": v, "by": runboard.context.attempt}, version)
    choice = runboard.ask(f"Deploy {version}?", options=["deploy", "stop"], recommended="deploy")
    runboard.step("deploy", lambda: choice)
    return {"checked": number, "choice": choice}
"""


def test_a_marked_function_runs_and_everything_it_says_comes_out_in_order(play: Play) -> None:
    played = play(
        """
import runboard, sys

@runboard.task
def main(name):
    print("hello", name)
    print("careful", file=sys.stderr)
    runboard.log.warning("slow", seconds=3)
    runboard.progress(0.5, "half")
    return {"name": runboard.step("upper", str.upper, name), "input": runboard.input()}
""",
        input={"name": "Ada"},
    )
    assert played.output == {"name": "ADA", "input": {"name": "Ada"}}
    assert isinstance(played.frames[0], Hello)
    lines = {(line.stream, line.level, line.text) for line in played.lines}
    assert lines == {
        ("stdout", "info", "hello Ada"),
        ("stderr", "warning", "careful"),
        ("log", "warning", "slow seconds=3"),
    }
    assert played.all(Progress) == [Progress(0.5, "half")]
    [step] = played.all(Step)
    assert (step.key, step.occurrence, step.value) == ("upper", 0, "ADA")
    kinds = [type(frame) for frame in played.frames]
    assert kinds.index(Step) < kinds.index(Output)


def test_a_script_without_a_marked_function_simply_runs(play: Play) -> None:
    played = play(
        "import runboard\nif __name__ == '__main__':\n    runboard.output({'twice': runboard.input()['n'] * 2})",
        input={"n": 4},
    )
    assert played.output == {"twice": 8}


def test_async_authors_and_their_threads_are_waited_for(play: Play) -> None:
    played = play(
        """
import asyncio, runboard, threading, time

async def double(n):
    await asyncio.sleep(0.01)
    return n * 2

@runboard.task
async def main(n):
    threading.Thread(target=lambda: (time.sleep(0.1), print("the thread has ended"))).start()
    return await runboard.step("double", double, n)
""",
        input={"n": 21},
    )
    assert played.output == 42
    assert played.text == "the thread has ended"


def test_a_question_ends_the_sandbox_and_the_answer_goes_on_from_the_records(play: Play) -> None:
    first = play(ASSISTANT)
    [question] = first.all(Ask)
    assert (question.key, question.kind, question.recommended) == ("ask-1", "choice", "deploy")
    assert question.options == ({"value": "deploy", "label": "deploy"}, {"value": "stop", "label": "stop"})
    assert first.exit.cause == "ended"
    assert not first.all(Output)
    answer = Memo("ask-1", 0, "ask", "", "deploy")
    second = play(ASSISTANT, attempt=2, memo=(*first.memo, answer))
    assert second.output == {"checked": {"version": "2.4.1", "by": 1}, "choice": "deploy"}
    assert [step.key for step in second.all(Step)] == ["deploy"]


def test_code_does_not_run_ahead_of_its_record(play: Play) -> None:
    source = "import runboard\nrunboard.step('a', lambda: 1)\nprint('ran ahead')"
    seen: list[str] = []

    def slow_commit(frame: Frame, sandbox: Sandbox) -> None:
        if isinstance(frame, Lines):
            seen.extend(line.text for line in frame.lines)

    played = play(source, then="stop", on=slow_commit)
    assert seen == []
    assert played.exit.code == 75
    assert play(source).text == "ran ahead"


def test_another_input_under_a_recorded_key_is_told_and_nothing_runs(play: Play) -> None:
    memo = (Memo("check", 0, "step", "another hash", 1),)
    stopped = play(ASSISTANT, memo=memo, then="stop")
    [diverged] = stopped.all(Diverged)
    assert (diverged.key, diverged.occurrence, diverged.recorded) == ("check", 0, "step:another hash")
    assert not stopped.all(Step)
    asked_before = (Memo("check", 0, "ask", "", "an answer"),)
    assert play(ASSISTANT, memo=asked_before, then="stop").all(Diverged)[0].recorded == "ask:"


@pytest.mark.parametrize(
    ("source", "kind", "message", "retryable"),
    [
        ("raise ConnectionError('gateway')", "ConnectionError", "gateway", True),
        ("import runboard\nraise runboard.Retryable('later')", "Retryable", "later", True),
        ("import runboard\nraise runboard.Fatal('never')", "Fatal", "never", False),
        ("1 / 0", "ZeroDivisionError", "division by zero", False),
        ("def broken(:", "SyntaxError", "invalid syntax (main.py, line 1)", False),
        ("import runboard\n@runboard.task\ndef main(a): 0", "TypeError", "main() missing 1 required", False),
        ("import runboard\n@runboard.task\ndef main(): return {1: 2}", "Misuse", "the output must be JSON: /1", False),
        ("import runboard\n@runboard.task\ndef main(): return 'x' * 2**21", "Misuse", "at most 1,048,576 bytes", False),
        ("import runboard\n@runboard.task\ndef a(): 0\n@runboard.task\ndef b(): 0", "Misuse", "marks a, b", False),
        ("import nowhere", "ModuleNotFoundError", "No module named 'nowhere'", False),
    ],
)
def test_errors_are_told_by_name_words_and_the_authors_own_stack(
    play: Play, source: str, kind: str, message: str, retryable: bool
) -> None:
    played = play(source)
    error = played.error
    assert (error.type, error.retryable) == (kind, retryable)
    assert message in error.message
    assert "runboard" not in error.stack.replace("runboard.", "").replace("import runboard", "")
    assert (played.exit.code, played.exit.is_clean) == (1, False)
    assert not played.all(Output)


def test_the_stack_shows_the_authors_lines(play: Play) -> None:
    stack = play("import runboard\ndef inner():\n    1 / 0\nrunboard.step('a', inner)").error.stack
    assert 'File "/task/main.py", line 3, in inner\n    1 / 0' in stack
    assert "/run/runboard" not in stack


@pytest.mark.parametrize(
    ("source", "code", "signal"),
    [
        ("import sys; sys.exit(3)", 3, None),
        ("import sys; sys.exit('words')", 1, None),
        ("import os; os._exit(4)", 4, None),
        ("import sys; sys.exit(137)", 137, None),
        ("import ctypes; ctypes.string_at(0)", None, 11),
    ],
)
def test_how_the_code_ended_is_known_exactly(play: Play, source: str, code: int | None, signal: int | None) -> None:
    ended = play(source).exit
    assert (ended.code, ended.signal, ended.cause, ended.violation) == (code, signal, "", "")


def test_an_output_without_a_good_end_does_not_count(play: Play) -> None:
    played = play("import runboard, sys\nrunboard.output(1)\nsys.exit(2)")
    assert played.all(Output) == [Output(1)]
    assert not played.exit.is_clean


def test_the_first_output_is_the_only_one(play: Play) -> None:
    assert play("import runboard\nrunboard.output(1)\nrunboard.output(2)").all(Output) == [Output(1)]


def test_the_code_knows_its_run_and_finds_no_frames_on_its_stdin(play: Play) -> None:
    played = play(
        """
import os, runboard, sys
c = runboard.context
runboard.output([c.execution, c.task, c.attempt, c.deadline.tzinfo is not None, c.cancelled, sys.stdin.read(),
    os.environ["EXECUTION_ID"], os.environ["TASK_ID"], os.environ["COLOUR"], os.getcwd(), os.environ["HOME"]])
""",
        execution="some-id",
        attempt=7,
        environment_variables={"COLOUR": "grün", "EXECUTION_ID": "forged"},
    )
    here = "/work"
    assert played.output == ["some-id", "some-task", 7, True, False, "", "some-id", "some-task", "grün", here, here]


def test_a_large_input_and_a_long_history_start_like_any_other(play: Play) -> None:
    memo = tuple(Memo("part", n, "step", "", {"n": n}) for n in range(5000))
    source = "import runboard\nfor n in range(5000): last = runboard.step('part', print)\n"
    source += "runboard.output([len(runboard.input()), last])"
    played = play(source, input="x" * 10_000_000, memo=memo)
    assert played.output == [10_000_000, {"n": 4999}]
    assert not played.all(Step)


def test_files_can_be_written_and_programs_started(play: Play) -> None:
    played = play(
        """
import pathlib, runboard, subprocess, tempfile
pathlib.Path("a.txt").write_text("x" * 1000)
with tempfile.NamedTemporaryFile() as file:
    file.write(b"tmp")
said = subprocess.run("sort -r | head -1; awk 'BEGIN {print 6*7}'", shell=True, text=True, input="b\\nc", capture_output=True)
runboard.output([said.stdout, pathlib.Path("a.txt").stat().st_size])
"""
    )
    assert played.output == ["c\n42\n", 1000]


def test_a_cancel_lets_the_code_clean_up(play: Play) -> None:
    source = """
import runboard, time
try:
    print("ready", flush=True)
    time.sleep(60)
finally:
    print("cleaned up")
"""
    played = play(source, on=_stop_at_the_first_line)
    assert played.text == "ready\ncleaned up"
    assert (played.exit.cause, played.exit.code) == ("stopped", 1)
    assert played.error.type == "Cancelled"
    assert played.seconds < 5


def test_code_that_asks_whether_it_is_cancelled_ends_in_its_own_way(play: Play) -> None:
    source = """
import runboard, time
assert not runboard.context.cancelled
print("ready")
while not runboard.context.cancelled:
    time.sleep(0.01)
print("saw it")
"""
    played = play(source, on=_stop_at_the_first_line)
    assert played.text == "ready\nsaw it"
    assert (played.exit.cause, played.exit.code) == ("stopped", 0)


def test_code_that_ignores_a_cancel_is_killed_after_the_grace(play: Play) -> None:
    source = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""
    played = play(source, on=_stop_at_the_first_line)
    assert (played.exit.cause, played.exit.signal) == ("stopped", 9)
    assert 0.5 < played.seconds < 5


def test_the_clock_ends_an_attempt(play: Play) -> None:
    played = play("import time\ntry: time.sleep(60)\nfinally: print('bye')", limits=Limits(timeout_seconds=0.5))
    assert played.exit.cause == "timeout"
    assert played.text == "bye"
    stubborn = "while True:\n  try:\n    while True: pass\n  except BaseException: pass"
    assert play(stubborn, limits=Limits(timeout_seconds=0.2)).exit.cause == "timeout"


def test_the_clock_runs_on_while_nobody_listens(bwrap: Runtime) -> None:
    sandbox = bwrap.prepare(
        order("print('up', flush=True)\nimport time\ntime.sleep(60)", limits=Limits(timeout_seconds=0.3))
    )
    frames = sandbox.frames()
    assert isinstance(next(frames), Hello)
    deadline = time.monotonic() + 10
    while sandbox._ends.process.poll() is None and time.monotonic() < deadline:  # type: ignore[attr-defined]
        time.sleep(0.05)
    list(frames)
    assert sandbox.close().cause == "timeout"


def test_a_frozen_sandbox_stands_still_and_so_does_its_clock(play: Play) -> None:
    source = "import time\nfor n in range(10):\n    print(n, flush=True); time.sleep(0.05)"

    def freeze_a_while(frame: Frame, sandbox: Sandbox) -> None:
        if isinstance(frame, Lines) and frame.lines[0].text == "0":
            sandbox.freeze()
            threading.Timer(1.5, sandbox.thaw).start()

    played = play(source, limits=Limits(timeout_seconds=1.4), on=freeze_a_while)
    assert played.text.split() == [str(n) for n in range(10)]
    assert played.exit.is_clean
    assert played.seconds > 1.5


def test_end_comes_from_any_thread_and_at_any_time(play: Play, bwrap: Runtime) -> None:
    for delay in (0, 0.002, 0.01, 0.02, 0.05):
        sandbox = bwrap.prepare(order("import time; time.sleep(60)"))
        killer = threading.Timer(delay, sandbox.end)
        killer.start()
        played = attend(sandbox)
        killer.join()
        assert played.exit.cause == "ended"
        assert played.seconds < 5
    unheard = bwrap.prepare(order("import time; time.sleep(60)"))
    assert unheard.close().cause == "ended"
    assert unheard.close() == unheard.close()
    unheard.ack("late", 0)
    unheard.stop(grace=1)
    unheard.end()


def test_many_sandboxes_run_side_by_side(play: Play, bwrap: Runtime) -> None:
    source = "import runboard, os\nprint(runboard.input())\nrunboard.output([runboard.input(), os.getpid()])"
    results: list[object] = []

    def slot(first: int) -> None:
        results.extend(attend(bwrap.prepare(order(source, input=n))).output for n in range(first, 32, 4))

    threads = [threading.Thread(target=slot, args=[n]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [[n, 1] for n in range(32)]  # type: ignore[type-var]


def test_without_bubblewrap_the_mend_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentUnavailable, match=r"bubblewrap is not installed.*apt install bubblewrap"):
        BwrapRuntime().prepare(order("print(1)"))


def test_a_runtime_that_is_not_built_is_refused_in_words(bwrap: Runtime) -> None:
    with pytest.raises(EnvironmentUnavailable, match="no sandbox for the runtime “java” yet"):
        bwrap.prepare(order("class Main {}", runtime="java"))


def test_an_environment_that_does_not_stand_says_no_hello_and_the_drivers_own_words(
    bwrap: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.runtimes.bwrap.SYSTEM", ("../proc/no-such-thing/\udcff",))
    monkeypatch.setattr("workers.runtimes.bwrap.SHM", -1)
    monkeypatch.setattr("workers.runtimes.bwrap.SYSTEM", ())
    played = attend(bwrap.prepare(order("print(1)")))
    assert not played.exit.said_hello
    assert "--size" in played.exit.words
    assert played.frames == [] or played.text


def test_a_variable_cannot_carry_options_for_the_driver(bwrap: Runtime) -> None:
    variables = {"COLOUR": "red\0--bind\0/\0/host"}
    with pytest.raises(EnvironmentFailed, match="NUL"):
        bwrap.prepare(order("print(1)", environment_variables=variables))


def test_the_house_python_is_not_in_the_sandbox(play: Play) -> None:
    played = play(
        f"""
import os, runboard, sys, zipfile
seen = [path for path in ({str(Path(__file__).parents[3])!r}, {sys.prefix!r}) if os.path.exists(path)]
runboard.output([seen, zipfile.ZipFile("/run/runboard/sdk.zip").namelist()])
"""
    )
    seen, sdk = played.output
    assert seen == []
    assert "runboard/protocol.pyc" not in sdk
    assert "runboard/__init__.pyc" in sdk


def _stop_at_the_first_line(frame: Frame, sandbox: Sandbox) -> None:
    if isinstance(frame, Lines) and frame.lines[0].text == "ready":
        sandbox.stop(grace=0.6)


def test_an_error_after_an_error_is_not_told_twice(play: Play) -> None:
    played = play("import atexit\natexit.register(lambda: 1 / 0)\nraise ValueError('first')")
    assert [error.type for error in played.all(Error)] == ["ValueError"]


WAITING = """
import runboard

@runboard.task
def main():
    number = runboard.step("draw", lambda: 4)
    runboard.checkpoint("page", {"n": number})
    runboard.sleep(60)
    mail, stock = runboard.gather(("mail", {"to": "Ada"}), "stock")
    paid = runboard.wait_for_signal("paid", timeout=60)
    return [number, runboard.checkpoint("page"), mail, stock, paid]
"""


def test_a_flow_waits_for_a_time_for_children_and_for_a_signal_and_goes_on_from_its_records(play: Play) -> None:
    first = play(WAITING)
    [nap] = first.all(Sleep)
    assert (nap.key, nap.seconds, first.exit.cause) == ("sleep-1", 60, "ended")
    [kept] = first.all(Checkpoint)
    memo = (*first.memo, Memo("page", 0, "checkpoint", "", kept.value), Memo("sleep-1", 0, "sleep", "", None))
    second = play(WAITING, attempt=2, memo=memo)
    [children] = second.all(Run)
    assert [child["task"] for child in children.children] == ["mail", "stock"]
    ended = [{"execution": f"e{n}", "number": n, "state": "completed", "output": n, "error": None} for n in (2, 3)]
    memo += (Memo("run-1", 0, "run", children.input_hash, ended),)
    third = play(WAITING, attempt=3, memo=memo)
    [signal] = third.all(AwaitSignal)
    assert (signal.name, signal.timeout) == ("paid", 60)
    memo += (Memo("signal-1", 0, "signal", signal.input_hash, {"value": {"by": "Bo"}}),)
    assert play(WAITING, attempt=4, memo=memo).output == [4, {"n": 4}, 2, 3, {"by": "Bo"}]


def test_a_signal_that_came_before_is_handed_over_without_a_new_attempt(bwrap: Runtime) -> None:
    sandbox = bwrap.prepare(order("import runboard\nrunboard.output(runboard.wait_for_signal('paid'))"))
    frames = []
    for frame in sandbox.frames():
        frames.append(frame)
        if isinstance(frame, AwaitSignal):
            sandbox.ack(frame.key, frame.occurrence, value={"value": 12})
    assert Played(sandbox.close(), frames).output == 12


def test_a_step_is_interrupted_and_tried_again_in_its_sandbox(play: Play) -> None:
    played = play(
        """
import runboard, time, threading
patience = runboard.options(timeout=0.5, max_retries=1, retry_interval=0)
naps = iter([30, 0])
tried = []

def charge():
    tried.append(runboard.context.idempotency_key)
    time.sleep(next(naps))
    return len(tried)

def busy():
    while True: time.sleep(0.01)

def hang():
    try: runboard.options(timeout=0.2).step("busy", busy)
    except runboard.StepTimeout as error: print(error)

thread = threading.Thread(target=hang); thread.start(); thread.join()
runboard.output([patience.step("charge", charge), tried])
"""
    )
    assert played.output == [2, ["e1:charge:0", "e1:charge:0"]]
    assert "step “busy” took longer than 0.2 s" in played.text
    assert "step “charge” failed, again in 0 s (retry 1 of 1): StepTimeout" in played.text
    assert played.seconds < 10
