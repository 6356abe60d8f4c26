"""The verbs that wait, as an author meets them through `runboard.testing`."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tasks import sdk as runboard
from tasks.sdk import testing
from tasks.sdk.context import current_run


def test_a_sleep_passes_at_once_and_no_step_runs_twice() -> None:
    drawn: list[int] = []

    def draw(number: int) -> int:
        drawn.append(number)
        return len(drawn)

    def main() -> list[int]:
        first = runboard.step("draw", draw, 1)
        runboard.sleep(3600)
        runboard.sleep(timedelta(days=30), key="a month")
        runboard.sleep(until=datetime(2030, 1, 1, tzinfo=UTC))
        return [first, runboard.step("draw", draw, 2)]

    result = testing.run(main)
    assert result.output == [1, 2]
    assert result.sleeps == [3600, 30 * 86400, datetime(2030, 1, 1, tzinfo=UTC)]
    assert result.attempts == 4
    assert drawn == [1, 2]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({}, "not both"),
        ({"seconds": 1, "until": datetime(2030, 1, 1, tzinfo=UTC)}, "not both"),
        ({"seconds": -1}, "a sleep is seconds from 0"),
        ({"seconds": float("nan")}, "a sleep is seconds from 0"),
        ({"seconds": float("inf")}, "a sleep is seconds from 0"),
        ({"seconds": "5"}, "a sleep is seconds from 0"),
        ({"until": 5}, "a datetime with a time zone"),
        ({"until": datetime(2030, 1, 1)}, "a datetime with a time zone"),  # noqa: DTZ001  (that is the mistake)
    ],
)
def test_a_sleep_without_sense_is_refused_where_it_is_called(how: Any, words: str) -> None:
    with pytest.raises(runboard.Misuse, match=words):
        testing.run(lambda: runboard.sleep(**how))


def test_a_child_comes_to_its_output() -> None:
    def main() -> Any:
        return runboard.run("double", {"n": 4}, title="Twice", queue="slow", priority="low")

    result = testing.run(main, children={"double": lambda given: given["n"] * 2})
    assert result.output == 8
    assert result.children == [
        {"task": "double", "input": {"n": 4}, "title": "Twice", "queue": "slow", "priority": "low"}
    ]
    assert testing.run(main, children={"double": {"a": [1]}}).output == {"a": [1]}


def test_a_child_without_an_input_gets_an_empty_one() -> None:
    result = testing.run(lambda: runboard.run("tidy"), children={"tidy": None})
    assert result.children == [{"task": "tidy", "input": {}}]


def test_a_child_that_fails_is_raised_with_what_is_known_of_it() -> None:
    with pytest.raises(runboard.ChildFailed, match="“charge” #1 failed: ConnectionError: 502") as raised:
        testing.run(lambda: runboard.run("charge"), children={"charge": ConnectionError("502")})
    failed = raised.value
    assert (failed.task, failed.state, failed.execution, failed.number) == ("charge", "failed", "child-1", 1)
    assert failed.error == {"type": "ConnectionError", "message": "502"}
    assert isinstance(failed, RuntimeError)


def test_gathered_children_come_back_in_their_order() -> None:
    def main() -> Any:
        return runboard.gather(("double", {"n": 1}), "tidy", {"task": "double", "input": {"n": 3}, "title": "last"})

    result = testing.run(main, children={"double": lambda given: given["n"] * 2, "tidy": "done"})
    assert result.output == [2, "done", 6]
    assert result.attempts == 2


def test_the_first_that_failed_is_raised_and_the_others_were_cancelled() -> None:
    def main(**how: Any) -> Any:
        children = runboard.gather("good", "bad", "other", return_failures=True, **how)
        assert [child.completed for child in children][:2] == [True, False]
        assert children[1].error == {"type": "ValueError", "message": "no"}
        return [child.state for child in children]

    children = {"good": 1, "bad": ValueError("no"), "other": KeyError}
    assert testing.run(main, children=children).output == ["completed", "failed", "cancelled"]
    assert testing.run(main, {"fail_fast": False}, children=children).output == ["completed", "failed", "failed"]
    with pytest.raises(runboard.ChildFailed, match="“bad” #2 failed: ValueError: no"):
        testing.run(lambda: runboard.gather("good", "bad", "other"), children=children)


def test_what_failed_is_raised_and_not_what_was_cancelled_for_it() -> None:
    stopped = {"execution": "a", "number": 1, "state": "cancelled", "output": None, "error": None}
    failed = {"execution": "b", "number": 2, "state": "timed_out", "output": None, "error": {"type": "TimedOut"}}

    def main() -> Any:
        run = current_run.get()
        assert run is not None
        run.wait = lambda *_, **__: [stopped, failed]  # type: ignore[method-assign]
        return runboard.gather("one", "two")

    with pytest.raises(runboard.ChildFailed, match="“two” #2 timed out: TimedOut"):
        testing.run(main)


def test_to_gather_nothing_is_nothing() -> None:
    result = testing.run(runboard.gather)
    assert (result.output, result.attempts) == ([], 1)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: runboard.run("Order payment"), "letters, digits"),
        (lambda: runboard.run(""), "letters, digits"),
        (lambda: runboard.run("x", object()), "the input of “x” must be JSON"),
        (lambda: runboard.run("x", title="t" * 201), "at most 200 characters"),
        (lambda: runboard.run("x", queue="a b"), "the name of a queue"),
        (lambda: runboard.run("x", priority="now"), "urgent, high, normal or low"),
        (lambda: runboard.gather(3), "a child is a task's name"),  # type: ignore[arg-type]
        (lambda: runboard.gather(("x", 1, 2)), "a child is a task's name"),
        (lambda: runboard.gather({"task": "x", "colour": "red"}), "a child is a task's name"),
        (lambda: runboard.gather(*["x"] * 1001), "at most 1,000"),
        (lambda: runboard.wait_for_signal(""), "a signal's name"),
        (lambda: runboard.wait_for_signal("x", timeout=-1), "a timeout is seconds"),
    ],
)
def test_a_wait_without_sense_is_refused_where_it_is_called(call: Any, words: str) -> None:
    with pytest.raises(runboard.Misuse, match=words):
        testing.run(call)


def test_a_signal_brings_what_it_carries_and_a_list_one_after_another() -> None:
    def main() -> Any:
        return [runboard.wait_for_signal("paid"), runboard.wait_for_signal("tick"), runboard.wait_for_signal("tick")]

    assert testing.run(main, signals={"paid": {"by": "Ada"}, "tick": [1, 2]}).output == [{"by": "Ada"}, 1, 2]


def test_a_signal_that_does_not_come_times_out_or_is_waited_for() -> None:
    with pytest.raises(runboard.SignalTimeout, match="no signal “paid” came within 5 s"):
        testing.run(lambda: runboard.wait_for_signal("paid", timeout=5))
    waiting = testing.run(lambda: runboard.wait_for_signal("paid")).waiting
    assert waiting is not None
    assert (waiting["t"], waiting["name"]) == ("signal", "paid")
    assert issubclass(runboard.SignalTimeout, TimeoutError)


def test_waits_of_their_own_keys_keep_their_records_when_the_code_before_them_changes() -> None:
    def main() -> Any:
        return [runboard.run("a", key="a"), runboard.gather("b", key="b"), runboard.wait_for_signal("c", key="c")]

    assert testing.run(main, children={"a": 1, "b": 2}, signals={"c": 3}).output == [1, [2], 3]


def test_another_child_under_the_same_key_is_told() -> None:
    tasks = iter(["first", "second"])
    with pytest.raises(AssertionError, match="run-1"):
        testing.run(lambda: runboard.run(next(tasks)), children={"first": 1})


def test_a_checkpoint_is_read_back_by_the_next_attempt() -> None:
    seen = []

    def main() -> Any:
        seen.append(runboard.checkpoint("page"))
        assert runboard.checkpoint("page", (len(seen), 2)) == [len(seen), 2]
        assert runboard.checkpoint("page") == [len(seen), 2]
        runboard.sleep(1)
        return runboard.checkpoint("nothing")

    result = testing.run(main)
    assert seen == [None, [1, 2]]
    assert result.checkpoints == {"page": [2, 2]}
    assert result.output is None


def test_a_checkpoint_is_json_under_a_key() -> None:
    with pytest.raises(runboard.Misuse, match="checkpoint “page” must be JSON"):
        testing.run(lambda: runboard.checkpoint("page", object()))
    with pytest.raises(runboard.Misuse, match="a key is text"):
        testing.run(lambda: runboard.checkpoint("", 1))


def test_a_run_that_waits_for_ever_is_told() -> None:
    def main() -> None:
        while True:
            runboard.sleep(1, key="again")

    with pytest.raises(AssertionError, match="does it ever end"):
        testing.run(main)


def test_a_child_that_the_test_says_nothing_of_is_told() -> None:
    with pytest.raises(AssertionError, match=r"children=\{“charge”"):
        testing.run(lambda: runboard.run("charge"))
