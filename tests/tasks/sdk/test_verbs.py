"""The verbs as an author meets them, through `runboard.testing`."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tasks import sdk as runboard
from tasks.sdk import testing


def test_a_marked_function_gets_the_inputs_members_and_returns_the_output() -> None:
    @runboard.task
    def main(name: str, times: int = 2) -> dict[str, Any]:
        runboard.log.info("greeting", name=name)
        runboard.progress(0.5, "half")
        return {"greeting": f"hello {name} " * times}

    result = testing.run(main, {"name": "Ada"})
    assert result.output == {"greeting": "hello Ada hello Ada "}
    assert result.log == ["greeting name='Ada'"]
    assert result.progress == [(0.5, "half")]


def test_a_step_runs_once_and_its_result_is_the_same_on_every_attempt() -> None:
    calls = []

    def draw(number: int) -> tuple[int, int]:
        calls.append(number)
        return number, len(calls)

    def main() -> Any:
        first = runboard.step("draw", draw, 4)
        again = runboard.step("draw", draw, 5)
        runboard.ask("Go on?")
        return [first, again]

    result = testing.run(main, answers={"ask-1": "yes"})
    assert result.output == [[4, 1], [5, 2]]
    assert calls == [4, 5]
    assert result.attempts == 2


def test_a_step_that_fails_takes_no_place_and_may_be_tried_again() -> None:
    keys = []

    def flaky() -> str:
        keys.append(runboard.context.idempotency_key)
        if len(keys) == 1:
            raise ConnectionError("gateway")
        return "done"

    def main() -> str:
        try:
            runboard.step("send", flaky)
        except ConnectionError:
            runboard.step("send", flaky)
        return str(runboard.step("other", lambda: runboard.context.idempotency_key))

    result = testing.run(main)
    assert keys == ["test:send:0", "test:send:0"]
    assert result.output == "test:other:0"
    assert result.steps["send"] == "done"


def test_an_async_step_is_awaited_and_recorded() -> None:
    async def fetch(number: int) -> int:
        await asyncio.sleep(0)
        return number * 2

    async def main() -> int:
        value: int = await runboard.step("fetch", fetch, 21)
        assert runboard.ask("Sure?") == "yes"
        return value

    result = testing.run(main, answers={"Sure?": "yes"})
    assert result.output == 42
    assert result.steps == {"fetch": 42}


def test_steps_side_by_side_need_keys_of_their_own() -> None:
    def main() -> Any:
        def inner() -> Any:
            return runboard.step("same", lambda: 1)

        return runboard.step("same", inner)

    with pytest.raises(runboard.Misuse, match="already running"):
        testing.run(main)


def test_steps_may_run_in_threads() -> None:
    def main() -> list[int]:
        with ThreadPoolExecutor(4) as pool:
            work = [pool.submit(copy_context().run, runboard.step, f"part-{n}", pow, n, 2) for n in range(8)]
            return [part.result() for part in work]

    assert testing.run(main).output == [n * n for n in range(8)]


def test_a_step_that_is_called_with_something_else_when_the_code_runs_again_is_told() -> None:
    values = iter([1, 2])

    def main() -> None:
        runboard.step("draw", abs, next(values))
        runboard.ask("Go on?")

    with pytest.raises(AssertionError, match="draw"):
        testing.run(main, answers={"Go on?": "yes"})


def test_arguments_that_are_not_json_do_not_make_a_step_another_one() -> None:
    def main() -> Any:
        value = runboard.step("draw", lambda thing, n: n, object(), 3)
        return [value, runboard.ask("Go on?")]

    assert testing.run(main, answers={"Go on?": "yes"}).output == [3, "yes"]


def test_a_steps_result_must_be_json() -> None:
    with pytest.raises(runboard.Misuse, match="step “draw” must return JSON: /: a value of type object"):
        testing.run(lambda: runboard.step("draw", object))


@pytest.mark.parametrize("key", ["", "x" * 201, "a\nb", 3, None])
def test_a_key_is_short_printable_text(key: Any) -> None:
    with pytest.raises(runboard.Misuse, match="a key is text"):
        testing.run(lambda: runboard.step(key, int))


def test_a_step_wants_the_function_and_not_its_result() -> None:
    with pytest.raises(runboard.Misuse, match="not step"):
        testing.run(lambda: runboard.step("draw", int("3")))  # type: ignore[arg-type]


def test_questions_say_what_they_need() -> None:
    def frame(**how: Any) -> dict[str, Any]:
        question = testing.run(lambda: runboard.ask("Deploy?", **how)).question
        assert question is not None
        return question

    assert frame()["kind"] == "text"
    assert frame(schema={"type": "object"})["kind"] == "form"
    choice = frame(options=["yes", {"value": 2, "label": "two", "consequence": "slower"}], recommended="yes")
    assert (choice["kind"], choice["recommended"], choice["key"]) == ("choice", "yes", "ask-1")
    assert choice["options"] == [
        {"value": "yes", "label": "yes"},
        {"value": 2, "label": "two", "consequence": "slower"},
    ]
    assert frame(options=["a", "b"], kind="choices")["kind"] == "choices"
    assert "default" not in frame()
    assert frame(default=None)["has_default"] is True


def test_a_deadline_is_seconds_a_duration_or_a_moment_with_its_zone() -> None:
    def deadline(of: Any) -> float:
        question = testing.run(lambda: runboard.ask("?", deadline=of)).question
        assert question is not None
        return float(question["deadline"])

    moment = datetime(2030, 1, 1, tzinfo=UTC)
    assert deadline(moment) == moment.timestamp()
    assert deadline(60) == pytest.approx(datetime.now(UTC).timestamp() + 60, abs=5)
    assert deadline(timedelta(minutes=1)) == pytest.approx(datetime.now(UTC).timestamp() + 60, abs=5)
    with pytest.raises(runboard.Misuse, match="time zone"):
        deadline(datetime(2030, 1, 1))  # noqa: DTZ001  (that is the mistake)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"options": ["a"], "schema": {"type": "object"}}, "not both"),
        ({"kind": "riddle"}, "kind"),
        ({"kind": "choices"}, "needs options"),
        ({"kind": "form"}, "needs a schema"),
        ({"options": [{"label": "x"}]}, "a value and a label"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_where_it_is_asked(how: dict[str, Any], words: str) -> None:
    with pytest.raises(runboard.Misuse, match=words):
        testing.run(lambda: runboard.ask("?", **how))


def test_approve_is_a_yes_or_a_no() -> None:
    assert testing.run(lambda: runboard.approve("Sure?"), answers={"ask-1": True}).output is True
    assert testing.run(lambda: runboard.approve("Sure?"), answers={"ask-1": False}).output is False


def test_a_question_of_its_own_key_may_be_asked_again() -> None:
    def main() -> Any:
        return [runboard.ask("Name?", key="name"), runboard.ask("Name?", key="name")]

    assert testing.run(main, answers={"name": "Ada"}).output == ["Ada", "Ada"]


def test_the_first_output_counts() -> None:
    def main() -> str:
        runboard.output({"a": 1})
        runboard.output({"a": 2})
        return "returned"

    assert testing.run(main).output == {"a": 1}


def test_progress_stays_between_nothing_and_all() -> None:
    def main() -> None:
        for share in (-1, 0.5, 7, float("nan")):
            runboard.progress(share)

    assert [share for share, _ in testing.run(main).progress] == [0, 0.5, 1, 0]


def test_without_a_run_a_verb_says_what_to_do() -> None:
    with pytest.raises(runboard.Misuse, match=r"runboard\.testing\.run"):
        runboard.progress(0.5)


def test_outside_a_step_there_is_no_idempotency_key() -> None:
    with pytest.raises(runboard.Misuse, match="inside a step"):
        testing.run(lambda: runboard.context.idempotency_key)


def test_a_verb_that_is_not_there_says_which_are() -> None:
    with pytest.raises(AttributeError, match=r"runboard has no “dance”; it has .*step"):
        runboard.dance(1)
    assert runboard.testing is testing


def test_what_the_code_raises_is_raised_by_the_test() -> None:
    def main() -> None:
        raise runboard.Retryable("later")

    with pytest.raises(runboard.Retryable, match="later"):
        testing.run(main)
