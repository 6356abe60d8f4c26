"""Shell scripts and their `runboard` command, in real sandboxes."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tasks.policy import Limits
from tasks.sdk.protocol import Ask, AwaitSignal, Checkpoint, Frame, Progress, Run, Sleep, Step
from tests.workers.runtimes.conftest import Played
from workers.runtimes import Lines, Memo, Sandbox

Play = Callable[..., Played]


def test_a_script_speaks_all_the_verbs(play: Play) -> None:
    played = play(
        """
set -eu
cat "$RUNBOARD_INPUT"; echo
echo "name is $(runboard input name)"
drawn=$(runboard step draw -- sh -c 'echo "$RUNBOARD_IDEMPOTENCY_KEY"; echo two')
echo "drew $drawn"
runboard progress 0.5 half way
runboard log --level warning watch out
runboard output '{"drawn": 2, "deep": [1, null]}'
""",
        runtime="shell",
        input={"name": "Ada Lovelace"},
    )
    assert played.output == {"drawn": 2, "deep": [1, None]}
    assert played.text.splitlines() == [
        '{"name":"Ada Lovelace"}',
        "name is Ada Lovelace",
        "drew e1:draw:0",
        "two",
        "watch out",
    ]
    assert played.all(Progress) == [Progress(0.5, "half way")]
    assert [step.value for step in played.all(Step)] == ["e1:draw:0\ntwo"]


def test_its_stdin_is_empty(play: Play) -> None:
    assert play("cat; echo end; readlink /proc/self/fd/0", runtime="shell").text == "end\n/dev/null"


def test_a_question_and_its_answer(play: Play) -> None:
    source = """
set -e
n=$(runboard step draw -- date +%N)
answer=$(runboard ask --recommended yes 'Go on?' yes no)
if runboard approve 'Really?'; then echo "$answer, really"; fi
runboard output "\\"$n\\""
"""
    first = play(source, runtime="shell")
    [question] = first.all(Ask)
    assert (question.key, question.prompt, question.kind, question.recommended) == ("ask-1", "Go on?", "choice", "yes")
    answered = (*first.memo, Memo("ask-1", 0, "ask", "", "no"), Memo("ask-2", 0, "ask", "", True))
    second = play(source, runtime="shell", memo=answered)
    assert second.output == first.memo[0].value
    assert second.text == "no, really"


def test_a_script_sleeps_runs_a_child_waits_for_a_signal_and_keeps_its_state(play: Play) -> None:
    source = """
set -e
runboard checkpoint page
runboard checkpoint page '{"n": 1}'
runboard sleep 10
runboard sleep --until 2030-01-31T08:00:00Z
mail=$(runboard run --title Mail mail '{"to": "Ada"}')
paid=$(runboard wait-for-signal paid --timeout 60)
echo "$mail $paid $(runboard checkpoint page)"
runboard run charge || echo "code $?"
runboard wait-for-signal --key late never || echo "code $?"
"""
    first = play(source, runtime="shell")
    assert first.text == "null"
    assert first.all(Checkpoint) == [Checkpoint("page", {"n": 1})]
    assert first.all(Sleep) == [Sleep("sleep-1", 0, seconds=10)]
    memo = [Memo("page", 0, "checkpoint", "", {"n": 7}), Memo("sleep-1", 0, "sleep", "", None)]
    [until] = play(source, runtime="shell", memo=tuple(memo)).all(Sleep)
    assert until.until == datetime(2030, 1, 31, 8, tzinfo=UTC).timestamp()
    memo.append(Memo("sleep-2", 0, "sleep", "", None))
    [child] = play(source, runtime="shell", memo=tuple(memo)).all(Run)
    assert child.children == ({"task": "mail", "input": {"to": "Ada"}, "title": "Mail"},)
    memo.append(Memo("run-1", 0, "run", child.input_hash, [_ended(2, "completed", output={"sent": True})]))
    [signal] = play(source, runtime="shell", memo=tuple(memo)).all(AwaitSignal)
    assert (signal.key, signal.name, signal.timeout) == ("signal-1", "paid", 60)
    memo.append(Memo("signal-1", 0, "signal", signal.input_hash, {"value": "12"}))
    [child] = play(source, runtime="shell", memo=tuple(memo)).all(Run)
    assert child.children == ({"task": "charge", "input": {}},)
    memo.append(Memo("run-2", 0, "run", child.input_hash, [_ended(3, "failed", error={"type": "Refused"})]))
    [signal] = play(source, runtime="shell", memo=tuple(memo)).all(AwaitSignal)
    memo.append(Memo("late", 0, "signal", signal.input_hash, {"timed_out": True}))
    last = play(source, runtime="shell", memo=tuple(memo))
    assert [line.text for line in last.lines if line.stream == "stdout"] == [
        '{"n":7}',
        '{"sent":true} 12 {"n":1}',
        "code 1",
        "code 1",
    ]
    assert "“charge” #3 failed: Refused" in last.text
    assert "no signal “never” came" in last.text


def _ended(number: int, state: str, *, output: Any = None, error: Any = None) -> dict[str, Any]:
    return {"execution": f"e{number}", "number": number, "state": state, "output": output, "error": error}


def test_a_script_that_waits_runs_no_further_line_and_says_nothing_more(play: Play) -> None:
    for wait in ("sleep 60", "run child", "wait-for-signal paid", "ask 'Go on?'"):
        played = play(f"runboard {wait}; echo 'ran ahead'", runtime="shell")
        assert (played.text, played.exit.cause) == ("", "ended")


def test_a_step_that_fails_is_not_recorded_and_may_be_tried_again(play: Play) -> None:
    source = """
runboard step try -- sh -c 'echo half; exit 3'; echo "code $?"
runboard step try -- true; echo "code $?"
runboard step missing -- no-such-program; echo "code $?"
"""
    played = play(source, runtime="shell")
    assert [(step.key, step.occurrence) for step in played.all(Step)] == [("try", 0)]
    assert [line.text for line in played.lines if line.stream == "stdout"] == [
        "half",
        "code 3",
        "",
        "code 0",
        "code 127",
    ]


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("runboard", 2, "there is no verb “”"),
        ("runboard dance", 2, "there is no verb “dance”"),
        ("runboard step a date", 2, "step wants a key, --, and a command"),
        ("runboard progress much", 2, "“much” is not a number"),
        ("runboard output '{'", 2, "is not JSON"),
        ("runboard output 1e999", 2, "not a JSON number"),
        ("runboard input nothing", 1, "the input has no member “nothing”"),
        ("runboard log --level loud x", 2, "a level is debug, info, warning or error"),
        ("runboard sleep", 2, "sleep wants seconds"),
        ("runboard sleep --until 2030-01-31T08:00:00Z 5", 2, "sleep wants seconds"),
        ("runboard sleep soon", 2, "“soon” is not a number"),
        ("runboard sleep --until tomorrow", 1, "until is a moment like"),
        ("runboard sleep --until 2030-01-31", 1, "a time zone"),
        ("runboard sleep -- -1", 1, "a sleep is seconds from 0"),
        ("runboard run", 2, "run wants a task"),
        ("runboard run 'a b'", 1, "letters, digits"),
        ("runboard run mail '{'", 2, "is not JSON"),
        ("runboard checkpoint", 2, "checkpoint wants a name"),
        ("runboard wait-for-signal", 2, "wait-for-signal wants one name"),
        ("runboard wait-for-signal a b", 2, "wait-for-signal wants one name"),
        ("runboard ask --colour red x", 2, "--colour is not known"),
        ('runboard step "$(printf "a\\nb")" -- true', 1, "a key is text"),
    ],
)
def test_a_wrong_call_is_told_and_breaks_nothing(play: Play, command: str, code: int, words: str) -> None:
    played = play(f'{command}\necho "code $?"\nrunboard output \'"fine"\'', runtime="shell")
    assert played.output == "fine"
    assert words in played.text
    assert f"code {code}" in played.text


@pytest.mark.parametrize(
    ("source", "code", "signal"),
    [("exit 3", 3, None), ("kill -9 $$", None, 9), ("kill -TERM $$", None, 15), ("set -e; false; echo no", 1, None)],
)
def test_how_a_script_ended_is_known_exactly(play: Play, source: str, code: int | None, signal: int | None) -> None:
    ended = play(source, runtime="shell").exit
    assert (ended.code, ended.signal, ended.is_clean) == (code, signal, False)


def test_a_script_may_name_its_interpreter(play: Play) -> None:
    assert play("#!/bin/bash\na=(1 2 3); echo ${#a[@]}", runtime="shell").text == "3"


def test_a_cancel_reaches_the_script_and_what_it_started(play: Play) -> None:
    source = "trap 'echo cleaning; exit 7' TERM\necho ready\nsleep 60 & wait"

    def stop(frame: Frame, sandbox: Sandbox) -> None:
        if isinstance(frame, Lines) and frame.lines[0].text == "ready":
            sandbox.stop(grace=5)

    played = play(source, runtime="shell", on=stop)
    assert played.text == "ready\ncleaning"
    assert (played.exit.cause, played.exit.code) == ("stopped", 7)
    assert played.seconds < 4


def test_what_a_script_leaves_running_ends_with_it(play: Play) -> None:
    played = play(
        "(trap '' TERM HUP; setsid sleep 60) & echo started", runtime="shell", limits=Limits(timeout_seconds=20)
    )
    assert played.text == "started"
    assert played.exit.is_clean
    assert played.seconds < 5
