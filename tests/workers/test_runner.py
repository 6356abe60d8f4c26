"""One attempt, from its claim to what follows: a scripted sandbox says what a real one would, the door is the real one."""

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from executions import queries, transitions
from executions.models import Attempt, Execution, LogChunk, Question, Step
from tasks.sdk.protocol import Ask, Diverged, Error, Frame, Hello, Output, Progress
from tasks.sdk.protocol import Step as StepFrame
from tests.make import claim_for, make_execution, make_task
from workers import teller
from workers.insist import insist
from workers.lease import Keeper
from workers.runner import Runner
from workers.runtimes import EnvironmentFailed, EnvironmentUnavailable, Exit, Line, Lines, Order, Sandbox

pytestmark = pytest.mark.django_db(transaction=True)

CLEAN = Exit(code=0, signal=None, cause="", said_hello=True, violation="")


class Scripted(Sandbox):
    """Says its frames and ends as told."""

    id, method, driver = "scripted-1", "container", "bwrap"

    def __init__(self, *frames: Frame, ended: Exit = CLEAN) -> None:
        self._frames, self._ended = frames, ended
        self.acks: list[tuple[str, str]] = []
        self.calls: list[str] = []

    def frames(self) -> Iterator[Frame]:
        yield from self._frames

    def ack(self, key: str, occurrence: int, *, then: str = "go", why: str = "", value: Any = None) -> None:
        self.acks.append((key, then))

    def stop(self, *, grace: float) -> None:
        self.calls.append("stop")

    def end(self) -> None:
        self.calls.append("end")

    def freeze(self) -> None:
        self.calls.append("freeze")

    def thaw(self) -> None:
        self.calls.append("thaw")

    def close(self) -> Exit:
        self.calls.append("close")
        return self._ended


def run(sandbox: Scripted | Exception, **task: Any) -> Execution:
    execution = make_execution(make_task(**task))
    return again(execution, sandbox)


def again(execution: Execution, sandbox: Scripted | Exception) -> Execution:
    def prepare(order: Order) -> Sandbox:
        if isinstance(sandbox, Exception):
            raise sandbox
        return sandbox

    claim = claim_for(execution)
    Runner(prepare=prepare, keeper=Keeper(lease=timedelta(seconds=60))).run(queries.work(claim))
    execution.refresh_from_db()
    return execution


def line(text: str) -> Line:
    return Line(at=time.time(), stream="stdout", level="info", text=text)


def error_of(execution: Execution) -> dict[str, Any]:
    return dict(json.loads(execution.error or "{}"))


def test_what_is_said_is_told_and_the_output_stored() -> None:
    sandbox = Scripted(
        Hello("python"),
        Lines((line("one"), line("two"))),
        Progress(0.5, "half"),
        StepFrame("a", 0, "h", {"n": 1}, 0.1),
        Output({"done": True}),
    )
    execution = run(sandbox)
    assert (execution.state, json.loads(execution.output or "")) == ("completed", {"done": True})
    assert [found.text for found in LogChunk.objects.lines()] == ["one", "two"]
    assert sandbox.acks == [("a", "go")]
    assert Step.objects.get().value == '{"n":1}'
    assert sandbox.calls == ["close"]
    attempt = Attempt.objects.get()
    assert (attempt.sandbox, attempt.driver, attempt.outcome) == ("scripted-1", "bwrap", "completed")


def test_the_last_word_reaches_the_card() -> None:
    execution = run(Scripted(Hello("python"), Lines((line("one"),)), Lines((line("two"),)), Progress(1.0, "three")))
    assert execution.message == "three"


def test_progress_reaches_the_card_between_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    class Talkative(Scripted):
        def frames(self) -> Iterator[Frame]:
            monkeypatch.setattr(teller, "CARD_EVERY", float("inf"))
            yield from (Hello("python"), Lines((line("one"),)), Progress(0.5, "half"))
            monkeypatch.setattr(teller, "CARD_EVERY", 0.0)
            yield Lines((line("two"),))
            seen.append(Execution.objects.values_list("progress", "message").get())

    run(Talkative())
    assert seen == [(0.5, "two")]


def test_a_question_ends_the_sandbox_and_frees_the_slot() -> None:
    options = ({"value": "yes", "label": "Yes"},)
    sandbox = Scripted(Hello("python"), Ask("ask-1", 0, "Go on?", "choice", options), Output("never said"))
    execution = run(sandbox)
    assert (execution.state, execution.output) == ("waiting", None)
    assert sandbox.calls == ["end", "close"]
    transitions.answer(Question.objects.get().pk, value="yes", now=timezone.now(), actor="user:mira")
    assert again(execution, Scripted(Hello("python"), Output("went on"))).state == "completed"


def test_what_was_recorded_comes_back_in_the_next_order() -> None:
    execution = make_execution()
    again(execution, Scripted(Hello("python"), StepFrame("a", 0, "h", 1), Ask("ask-1", 0, "Why?", "text")))
    transitions.answer(Question.objects.get().pk, value="so", now=timezone.now(), actor="user:mira")
    orders: list[Order] = []

    def prepare(order: Order) -> Sandbox:
        orders.append(order)
        return Scripted(Hello("python"), Output(None))

    Runner(prepare=prepare, keeper=Keeper(lease=timedelta(seconds=60))).run(queries.work(claim_for(execution)))
    assert [(memo.key, memo.kind, memo.value) for memo in orders[0].memo] == [("a", "step", 1), ("ask-1", "ask", "so")]


@pytest.mark.parametrize(
    ("ended", "state", "reason", "kind"),
    [
        (Exit(1, None, "", True, ""), "failed", "error", "RuntimeError"),
        (Exit(None, None, "timeout", True, ""), "timed_out", "timeout", "TimedOut"),
        (Exit(None, None, "memory", True, ""), "resuming", "resources", "ResourceExhausted"),
        (Exit(None, 11, "", True, ""), "resuming", "recovered", "RuntimeError"),
        (Exit(0, None, "", True, "it sent a frame of 2 MiB"), "failed", "error", "ProtocolError"),
        (Exit(1, None, "", False, "", "bwrap: no such file"), "resuming", "environment", "EnvironmentFailed"),
    ],
)
def test_how_it_ended_decides_what_follows(ended: Exit, state: str, reason: str, kind: str) -> None:
    frames = (Hello("python"),) if ended.said_hello else ()
    execution = run(Scripted(*frames, ended=ended))
    assert (execution.state, execution.reason_code, error_of(execution)["type"]) == (state, reason, kind)


def test_an_output_counts_only_with_a_clean_end() -> None:
    execution = run(Scripted(Hello("python"), Output(1), ended=Exit(3, None, "", True, "")))
    assert (execution.state, execution.output) == ("failed", None)
    assert "exit code 3" in error_of(execution)["message"]


def test_the_first_output_and_the_first_error_win() -> None:
    assert run(Scripted(Hello("python"), Output(1), Output(2))).output == "1"
    failed = run(
        Scripted(Hello("python"), Error("A", "first"), Error("B"), ended=Exit(1, None, "", True, "")), slug="b"
    )
    assert error_of(failed)["message"] == "first"


def test_an_output_that_does_not_fit_is_a_failure_with_its_places() -> None:
    schema = {"type": "object", "required": ["rows"]}
    execution = run(Scripted(Hello("python"), Output({})), output_schema=schema)
    assert (execution.state, execution.reason_code) == ("failed", "output_invalid")
    assert error_of(execution)["errors"] == [{"pointer": "/rows", "message": "is required"}]


def test_no_sandbox_on_this_machine_rejects_with_the_same_sentence() -> None:
    execution = run(EnvironmentUnavailable("bubblewrap is not installed: apt install bubblewrap"))
    assert (execution.state, execution.reason_code) == ("rejected", "environment")
    assert "apt install bubblewrap" in error_of(execution)["message"]


def test_a_sandbox_that_failed_is_made_again() -> None:
    execution = run(EnvironmentFailed("out of descriptors"))
    assert (execution.state, execution.environment_failures, execution.retries) == ("resuming", 1, 0)


@pytest.mark.parametrize(
    ("met", "words"),
    [("step:h2", "“a” was recorded with another input, "), ("run:h1", "“a” was recorded as step and is now run, ")],
)
def test_a_diverged_step_fails_with_the_reason(met: str, words: str) -> None:
    sandbox = Scripted(Hello("python"), Diverged("a", 0, "step:h1", met), ended=Exit(1, None, "", True, ""))
    execution = run(sandbox)
    assert sandbox.acks == [("a", "stop")]
    assert error_of(execution)["type"] == "StepDiverged"
    assert error_of(execution)["message"].startswith(words)


def test_a_cancel_stops_the_sandbox_and_is_confirmed() -> None:
    execution = make_execution()

    class Cancelled(Scripted):
        def frames(self) -> Iterator[Frame]:
            yield Hello("python")
            transitions.cancel(execution.pk, now=timezone.now(), actor="user:mira")
            deadline = time.monotonic() + 10
            while "stop" not in self.calls and time.monotonic() < deadline:
                time.sleep(0.05)

    sandbox = Cancelled(ended=Exit(None, 15, "stopped", True, ""))
    assert again(execution, sandbox).state == "cancelled"
    assert "stop" in sandbox.calls


def test_a_claim_that_was_lost_ends_its_sandbox_and_says_nothing() -> None:
    execution = make_execution()

    class Outlived(Scripted):
        def frames(self) -> Iterator[Frame]:
            yield Hello("python")
            token = Execution.objects.values_list("token", flat=True).get()
            transitions.reclaim(execution.pk, token=token, now=timezone.now(), actor="scheduler")
            deadline = time.monotonic() + 10
            while "end" not in self.calls and time.monotonic() < deadline:
                time.sleep(0.05)

    sandbox = Outlived(Output("late"))
    found = again(execution, sandbox)
    assert (found.state, found.output) == ("resuming", None)
    assert "end" in sandbox.calls


def test_insisting_outlives_a_broken_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import OperationalError

    monkeypatch.setattr("workers.insist.time.sleep", lambda _: None)
    answers = iter([OperationalError("gone"), OperationalError("still gone"), None])

    def say() -> str:
        if answer := next(answers):
            raise answer
        return "heard"

    assert insist(say) == "heard"


def test_a_cancel_that_a_step_hears_first_is_confirmed_all_the_same() -> None:
    execution = make_execution()

    class AtAStep(Scripted):
        def frames(self) -> Iterator[Frame]:
            yield Hello("python")
            transitions.cancel(execution.pk, now=timezone.now(), actor="user:mira")
            yield StepFrame("a", 0, "", 1)
            yield Error("Cancelled")

    sandbox = AtAStep(ended=Exit(1, None, "", True, ""))
    assert again(execution, sandbox).state == "cancelled"
    assert sandbox.acks == [("a", "stop")]


def test_a_question_that_comes_after_a_cancel_is_not_asked() -> None:
    execution = make_execution()

    class AsksLate(Scripted):
        def frames(self) -> Iterator[Frame]:
            yield Hello("python")
            transitions.cancel(execution.pk, now=timezone.now(), actor="user:mira")
            yield Ask("ask-1", 0, "Go on?", "text")

    assert again(execution, AsksLate(ended=Exit(None, 9, "ended", True, ""))).state == "cancelled"
    assert not Question.objects.exists()


def test_what_the_door_refuses_ends_the_run_with_the_reason() -> None:
    once, differently = StepFrame("a", 0, "", 1), StepFrame("a", 0, "", 2)
    sandbox = Scripted(Hello("python"), once, differently, ended=Exit(None, 9, "ended", True, ""))
    execution = run(sandbox)
    assert (execution.state, error_of(execution)["type"]) == ("failed", "Refused")
    assert "recorded already" in error_of(execution)["message"]
    assert "end" in sandbox.calls
