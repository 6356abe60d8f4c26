"""`docs/protocol.md`, spoken by hand: as the house to the SDK, as a sandbox to the house, and as the page itself has it."""

import json
import os
import re
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, TextIO

import pytest

from tasks.policy import Limits
from tasks.sdk.protocol import FROM_HOST, FROM_SANDBOX, Error, Frame, Hello, Start, Step, read
from tests.workers.runtimes.conftest import Played, attend
from workers.runtimes import Lines, Sandbox
from workers.runtimes.conversation import Conversation, Ends

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "protocol.md").read_text()


class Hand:
    """The house's end, held by a person."""

    def __init__(self, process: subprocess.Popen[bytes], lines: TextIO) -> None:
        self.process, self._lines = process, lines

    def hears(self) -> dict[str, Any]:
        line = self._lines.readline()
        assert line.endswith("\n")
        frame: dict[str, Any] = json.loads(line)
        return frame

    def says(self, **frame: Any) -> None:
        self._lines.write(json.dumps(frame) + "\n")
        self._lines.flush()

    def hangs_up(self) -> None:
        self._lines.close()


@pytest.fixture
def sdk(tmp_path: Path) -> Iterator[Callable[..., Hand]]:
    """Starts the SDK with a script, as the sandbox would, and hears its hello."""
    hands = []

    def start(source: str, *, input: Any = None, memo: Any = None) -> Hand:
        for name, value in (("input", input), ("memo", memo or [])):
            (tmp_path / name).write_text(json.dumps(value))
        (tmp_path / "main.py").write_text("import tasks.sdk as runboard\n" + textwrap.dedent(source))
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-m", "tasks.sdk"], stdin=theirs.fileno(), stdout=subprocess.PIPE, cwd=ROOT
            )
        with ours:
            hand = Hand(process, ours.makefile("rw"))
        hands.append(hand)
        assert hand.hears() == {"t": "hello", "v": 1, "runtime": "python"}
        paths = {"source": str(tmp_path / "main.py"), "input": str(tmp_path / "input"), "memo": str(tmp_path / "memo")}
        hand.says(t="start", v=1, run="x", attempt=1, **paths)
        return hand

    yield start
    for hand in hands:
        hand.hangs_up()
        hand.process.wait(10)
        assert hand.process.stdout is not None
        hand.process.stdout.close()


def test_a_run_from_hello_to_done(sdk: Callable[..., Hand]) -> None:
    hand = sdk(
        """
        @runboard.task
        def main(n):
            runboard.progress(0.5, "half")
            runboard.log.info("seen")
            return runboard.step("double", lambda: n * 2)
        """,
        input={"n": 4},
    )
    assert hand.hears() == {"t": "progress", "fraction": 0.5, "message": "half"}
    assert hand.hears() == {"t": "log", "level": "info", "text": "seen"}
    step = hand.hears()
    assert step.pop("seconds") >= 0
    assert step == {"t": "step", "key": "double", "occurrence": 0, "input_hash": "", "value": 8}
    hand.says(t="ack", key="double", occurrence=0, then="go", why="")
    assert hand.hears() == {"t": "output", "value": 8}
    assert hand.hears() == {"t": "done", "code": 0, "signal": None}
    assert hand.process.wait(10) == 0


def test_a_stop_ends_the_code_where_it_stands(sdk: Callable[..., Hand]) -> None:
    hand = sdk("runboard.step('a', int)\nprint('ran ahead')")
    hand.hears()
    hand.says(t="ack", key="a", occurrence=0, then="stop", why="pause")
    assert hand.hears() == {"t": "done", "code": 75}
    assert hand.process.wait(10) == 75
    assert hand.process.stdout is not None
    assert hand.process.stdout.read() == b""


def test_a_question_waits_for_the_house_to_end_it_and_an_answer_is_found_in_the_memo(sdk: Callable[..., Hand]) -> None:
    source = "runboard.output(runboard.ask('Go?', options=['yes', 'no'], default='no'))"
    question = sdk(source).hears()
    assert (question["t"], question["key"], question["kind"], question["has_default"]) == (
        "ask",
        "ask-1",
        "choice",
        True,
    )
    answer = {"key": "ask-1", "occurrence": 0, "kind": "ask", "input_hash": "", "value": "yes"}
    assert sdk(source, memo=[answer]).hears() == {"t": "output", "value": "yes"}


def test_a_record_of_another_input_is_told_and_go_uses_it(sdk: Callable[..., Hand]) -> None:
    memo = [{"key": "a", "occurrence": 0, "kind": "step", "input_hash": "other", "value": "recorded"}]
    hand = sdk("runboard.output(runboard.step('a', lambda: 'new'))", memo=memo)
    met = {"t": "diverged", "key": "a", "occurrence": 0, "recorded": "step:other", "met": "step:", "policy": "fail"}
    assert hand.hears() == met
    hand.says(t="ack", key="a", occurrence=0, then="go", why="")
    assert hand.hears() == {"t": "output", "value": "recorded"}


def test_a_record_of_another_kind_is_never_used_though_the_author_would_use_another_input(
    sdk: Callable[..., Hand],
) -> None:
    source = "runboard.output(runboard.options(on_diverged='use').step('a', lambda: 'new'))"
    memo = [{"key": "a", "occurrence": 0, "kind": "step", "input_hash": "other", "value": "recorded"}]
    assert sdk(source, memo=memo).hears()["policy"] == "use"
    assert sdk(source, memo=[memo[0] | {"kind": "sleep"}]).hears()["policy"] == "fail"


WAITS = [
    ("runboard.sleep(1.5)", {"t": "sleep", "key": "sleep-1", "seconds": 1.5}, None, "None"),
    (
        "runboard.sleep(until=__import__('datetime').datetime.fromtimestamp(2e9, __import__('datetime').UTC), key='x')",
        {"t": "sleep", "key": "x", "until": 2e9},
        None,
        "None",
    ),
    (
        "runboard.run('mail', {'to': 'Ada'}, title='Mail', priority='high', outlives=True)",
        {
            "t": "run",
            "key": "run-1",
            "children": [
                {"task": "mail", "input": {"to": "Ada"}, "title": "Mail", "priority": "high", "outlives": True}
            ],
            "gathers": False,
            "fail_fast": True,
        },
        [{"execution": "e2", "number": 2, "state": "completed", "output": "sent", "error": None}],
        "'sent'",
    ),
    (
        "runboard.gather('one', ('two', [1]), fail_fast=False)",
        {
            "t": "run",
            "key": "run-1",
            "children": [{"task": "one", "input": {}}, {"task": "two", "input": [1]}],
            "gathers": True,
            "fail_fast": False,
        },
        [{"execution": f"e{n}", "number": n, "state": "completed", "output": n, "error": None} for n in (2, 3)],
        "[2, 3]",
    ),
    (
        "runboard.wait_for_signal('paid', timeout=60)",
        {"t": "signal", "key": "signal-1", "name": "paid", "timeout": 60.0},
        {"value": {"by": "Ada"}},
        "{'by': 'Ada'}",
    ),
]


@pytest.mark.parametrize(
    ("source", "frame", "value", "shown"), WAITS, ids=["sleep", "until", "run", "gather", "signal"]
)
def test_a_wait_is_recorded_and_the_next_attempt_finds_what_it_came_to(
    sdk: Callable[..., Hand], source: str, frame: dict[str, Any], value: Any, shown: str
) -> None:
    source = f"runboard.output(repr({source}))"
    told = sdk(source).hears()
    assert read(json.dumps(told).encode())
    input_hash = told.pop("input_hash", "")
    assert told == frame | {"occurrence": 0}
    record = {"key": frame["key"], "occurrence": 0, "kind": frame["t"], "input_hash": input_hash, "value": value}
    assert sdk(source, memo=[record]).hears() == {"t": "output", "value": shown}


def test_a_wait_that_is_over_already_is_answered_by_its_ack(sdk: Callable[..., Hand]) -> None:
    hand = sdk("runboard.output(runboard.wait_for_signal('paid'))\nrunboard.sleep(5)\nrunboard.output('ran ahead')")
    hand.hears()
    hand.says(t="ack", key="signal-1", occurrence=0, then="go", why="", value={"value": [12]})
    assert hand.hears() == {"t": "output", "value": [12]}
    assert hand.hears()["t"] == "sleep"
    hand.says(t="ack", key="sleep-1", occurrence=0, then="stop", why="pause")
    assert hand.hears() == {"t": "done", "code": 75}


def test_a_child_that_failed_and_a_signal_that_never_came_are_told_and_not_tried_again(
    sdk: Callable[..., Hand],
) -> None:
    ended = {
        "execution": "e2",
        "number": 2,
        "state": "failed",
        "output": None,
        "error": {"type": "Refused", "message": "no"},
    }
    source = "runboard.run('charge', {'n': 1})"
    told = sdk(source).hears()
    memo = {"key": "run-1", "occurrence": 0, "kind": "run", "input_hash": told["input_hash"], "value": [ended]}
    error = sdk(source, memo=[memo]).hears()
    words = "“charge” #2 failed: Refused: no"
    assert (error["type"], error["message"], error["retryable"]) == ("ChildFailed", words, False)
    source = "runboard.wait_for_signal('paid', timeout=3)"
    told = sdk(source).hears()
    memo = {
        "key": "signal-1",
        "occurrence": 0,
        "kind": "signal",
        "input_hash": told["input_hash"],
        "value": {"timed_out": True},
    }
    error = sdk(source, memo=[memo]).hears()
    assert (error["type"], error["message"], error["retryable"]) == (
        "SignalTimeout",
        "no signal “paid” came within 3 s",
        False,
    )


def test_a_child_of_another_input_is_told(sdk: Callable[..., Hand]) -> None:
    first = sdk("runboard.run('charge', {'n': 1}, key='c')").hears()["input_hash"]
    ended = {"execution": "e2", "number": 2, "state": "completed", "output": 1, "error": None}
    memo = [{"key": "c", "occurrence": 0, "kind": "run", "input_hash": first, "value": [ended]}]
    told = sdk("runboard.run('charge', {'n': 2}, key='c')", memo=memo).hears()
    assert (told["t"], told["recorded"]) == ("diverged", f"run:{first}")
    assert told["met"].startswith("run:")
    assert told["met"] != told["recorded"]


def test_a_checkpoint_is_recorded_each_time_and_the_newest_is_in_the_memo(sdk: Callable[..., Hand]) -> None:
    source = """
        before = runboard.checkpoint("page")
        runboard.checkpoint("page", {"n": 1})
        step = runboard.step("page", lambda: "a step of the same key")
        runboard.output([before, step, runboard.checkpoint("page")])
        """
    memo = [{"key": "page", "occurrence": 0, "kind": "checkpoint", "input_hash": "", "value": {"n": 7}}]
    hand = sdk(source, memo=memo)
    assert hand.hears() == {"t": "checkpoint", "key": "page", "value": {"n": 1}}
    hand.says(t="ack", key="page", occurrence=0, then="go", why="")
    assert hand.hears()["t"] == "step"
    hand.says(t="ack", key="page", occurrence=0, then="go", why="")
    assert hand.hears() == {"t": "output", "value": [{"n": 7}, "a step of the same key", {"n": 1}]}


def test_a_cancel_is_seen_by_code_that_asks(sdk: Callable[..., Hand]) -> None:
    hand = sdk("runboard.progress(0)\nwhile not runboard.context.cancelled: pass\nrunboard.output('seen')")
    hand.hears()
    hand.says(t="cancel", grace=5)
    assert hand.hears() == {"t": "output", "value": "seen"}


def test_a_house_that_is_gone_ends_the_process(sdk: Callable[..., Hand]) -> None:
    hand = sdk("runboard.step('a', int)")
    hand.hears()
    hand.hangs_up()
    assert hand.process.wait(10) == 75


class Plain(Conversation):
    """The house's line to a process without any sandbox around it."""

    method = driver = "by hand"

    def _kill(self) -> None:
        self._ends.process.kill()


def speak(program: str, *, on: Any = None, prepare_within: float | None = None) -> Played:
    """Attends to a Python program that writes its frames by hand on fd 0."""
    ours, theirs = socket.socketpair()
    (stdout, its_stdout), (stderr, its_stderr) = os.pipe(), os.pipe()
    preamble = "import os, sys\nlines = os.fdopen(0, 'rb')\ndef say(text): os.write(0, text.encode())\n"
    command = [sys.executable, "-c", preamble + textwrap.dedent(program)]
    process = subprocess.Popen(command, stdin=theirs.fileno(), stdout=its_stdout, stderr=its_stderr)
    theirs.close()
    os.close(its_stdout)
    os.close(its_stderr)
    ends = Ends(process, ours, stdout, stderr)
    start = Start(run="x", attempt=3)
    return attend(Plain(ends, id="x", start=start, limits=Limits(), prepare_within=prepare_within), on=on)


def test_a_sandbox_that_does_not_stand_in_time_has_failed_to_stand() -> None:
    played = speak("import time; time.sleep(60)", prepare_within=0.3)
    assert not played.exit.said_hello
    assert "no hello within 0.3 seconds" in played.exit.words


def test_a_sandbox_of_five_lines() -> None:
    played = speak(
        """
        say('{"t": "hello", "runtime": "python"}\\n')
        start = lines.readline()
        say('{"t": "step", "key": "a", "occurrence": 0, "input_hash": "", "value": [1, 2]}\\n')
        print(lines.readline().decode())
        say('{"t": "output", "value": ' + start.decode().strip() + '}\\n')
        """
    )
    assert played.all(Step) == [Step("a", 0, "", [1, 2])]
    ack = {"t": "ack", "key": "a", "occurrence": 0, "then": "go", "why": "", "value": None}
    assert json.loads(played.text.strip()) == ack
    assert played.output["attempt"] == 3
    assert played.output["deadline"] > 0


def test_a_frame_may_come_in_pieces_and_many_in_one() -> None:
    played = speak(
        """
        import time
        pieces = ['{"t": "hel', 'lo", "runtime": "python"}\\n{"t": "progress", "fraction"']
        for piece in [*pieces, ': 0.5}\\n{"t": "output", "value": 1}\\n']:
            say(piece); time.sleep(0.02)
        """
    )
    assert [frame.t for frame in played.frames if not isinstance(frame, Lines)] == ["hello", "progress", "output"]


@pytest.mark.parametrize(
    "first", ['{"t": "output", "value": 1}', '{"t": "hello", "runtime": "python", "v": 2}', "GET / HTTP/1.1"]
)
def test_whatever_comes_before_hello_ends_it(first: str) -> None:
    played = speak(f"say({first!r} + '\\n')\nlines.readline()")
    assert played.frames == []
    assert played.exit.violation
    assert not played.exit.said_hello


def test_no_hello_is_an_environment_that_could_not_be_made() -> None:
    played = speak("print('no such file', file=sys.stderr); sys.exit(1)")
    assert not played.all(Hello)
    assert (played.exit.said_hello, played.exit.code, played.exit.words) == (False, 1, "no such file")


def test_one_who_never_reads_does_not_block_the_house() -> None:
    program = """
        say('{"t": "hello", "runtime": "python"}\\n')
        for n in range(9000): say('{"t": "step", "key": "%s", "occurrence": 0, "input_hash": "", "value": 1}\\n' % ("k" * 190))
        say('{"t": "error", "type": "Deaf"}\\n')
        """
    played = speak(program)
    assert len(played.all(Step)) == 9000
    assert played.all(Error) == [Error("Deaf")]


def test_what_an_ack_cannot_carry_ends_the_sandbox_and_comes_with_the_next_memo() -> None:
    def say(frame: Frame, sandbox: Sandbox) -> None:
        if isinstance(frame, Step):
            sandbox.ack(frame.key, frame.occurrence, value="x" * 2**21)

    program = """
        say('{"t": "hello", "runtime": "python"}\\n{"t": "step", "key": "a", "occurrence": 0, "input_hash": "", "value": 1}\\n')
        while True: lines.readline()
        """
    assert speak(program, on=say).exit.cause == "ended"


def test_the_page_names_every_frame_and_its_members() -> None:
    for name, frame in {**FROM_SANDBOX, **FROM_HOST}.items():
        [row] = re.findall(rf"^\| `{name}` \|(.*)$", PAGE, re.MULTILINE)
        assert all(f"`{member.name}`" in row for member in fields(frame)), (name, row)


def test_the_pages_own_example_says_what_the_page_says(tmp_path: Path) -> None:
    [example] = re.findall(r"^\$ python3 - <<'PY'\n(.*?)^PY$", PAGE, re.MULTILINE | re.DOTALL)
    example = example.replace("/tmp/main.py", str(tmp_path / "main.py"))
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", example], capture_output=True, text=True, env=environment, cwd=ROOT
    )
    said = [json.loads(line) for line in ran.stdout.splitlines() if line.strip()]
    assert [frame["t"] for frame in said] == ["hello", "step", "output", "done"], ran.stderr
