"""Runs a task without a house, as the house would: whatever is waited for starts the code again from its records.

result = runboard.testing.run(main, {"name": "Ada"}, answers={"ask-1": True}, children={"charge": {"paid": 12}})
assert result.output == {"number": 4}

Sleeps pass at once. Children come to what `children` says of their task, signals to what `signals` says of their name.
"""

from __future__ import annotations

import sys

from .canonical import decode, encode
from .context import Run, current_run
from .errors import Cancelled, Suspended
from .script import call, invoke, load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from typing import Any, NoReturn

MOST_ATTEMPTS = 1000


class Result:
    """What a run came to.

    `question` is the ask frame that it waits for, `waiting` the ask or signal frame; both are None when it ran to its end.
    `sleeps` are seconds or, of sleep(until=…), datetimes; `children` the children it started {task, input, …}.
    """

    def __init__(self) -> None:
        self.output: Any = None
        self.question: dict[str, Any] | None = None
        self.waiting: dict[str, Any] | None = None
        self.steps: dict[str, Any] = {}
        self.checkpoints: dict[str, Any] = {}
        self.sleeps: list[float | datetime] = []
        self.children: list[dict[str, Any]] = []
        self.log: list[str] = []
        self.progress: list[tuple[float, str]] = []
        self.attempts = 0


def call_it_runboard() -> None:
    """`import runboard` means here what it means in a sandbox, whatever name this package was loaded under."""
    name = __name__.rpartition(".")[0]
    for loaded, module in list(sys.modules.items()):
        if loaded == name or loaded.startswith(name + "."):
            sys.modules.setdefault("runboard" + loaded.removeprefix(name), module)


def run(
    task: Callable[..., Any] | str,
    input: Any = None,
    *,
    answers: Mapping[str, Any] | None = None,
    signals: Mapping[str, Any] | None = None,
    children: Mapping[str, Any] | None = None,
) -> Result:
    """Runs a marked function, or the script at a path.

    `answers` are by key (`ask-1`) or by the question's text. `signals` are by name: what comes with it, or a list of what comes
    one after another; one that does not come times out where it has a timeout. `children` are by task: its output, a
    function of its input that gives the output, or an exception it fails with.
    What the code raises is raised here. A question without an answer or a signal that never comes ends the run;
    `result.waiting` tells which.
    """
    call_it_runboard()
    result, value = Result(), decode(encode(input))
    world = _World(answers or {}, signals or {}, children or {}, result)
    memo: list[dict[str, Any]] = []
    while result.attempts < MOST_ATTEMPTS:
        house = _House(result, memo)
        token = current_run.set(_run_of(house, value, result))
        result.question = result.waiting = None
        try:
            returned = call(load(task), value) if isinstance(task, str) else invoke(task, value)
        except Suspended:
            if not world.answered(result.waiting, memo):
                return result
        else:
            result.output = house.output if house.has_output else decode(encode(returned))
            return result
        finally:
            current_run.reset(token)
    raise AssertionError(f"the run still waits after {MOST_ATTEMPTS:,} waits: does it ever end?")


class _House:
    """Takes a run's frames in the house's place and records what they say."""

    def __init__(self, result: Result, memo: list[dict[str, Any]]) -> None:
        self.result, self.memo = result, memo
        self.output: Any = None
        self.has_output = False

    def send(self, frame: dict[str, Any]) -> None:
        encode(frame)
        if frame["t"] == "log":
            self.result.log.append(frame["text"])
        elif frame["t"] == "progress":
            self.result.progress.append((frame["fraction"], frame["message"]))
        elif frame["t"] == "output" and not self.has_output:
            self.output, self.has_output = decode(encode(frame["value"])), True

    def tell(self, frame: dict[str, Any]) -> dict[str, Any]:
        encode(frame)
        if frame["t"] in ("ask", "sleep", "run", "signal"):
            self.result.waiting = frame
            self.result.question = frame if frame["t"] == "ask" else None
            raise Suspended(frame["key"])
        if frame["t"] == "diverged" and frame["policy"] != "use":
            raise AssertionError(f"“{frame['key']}” was met with another input or kind when the code ran again")
        if frame["t"] == "step":
            self.memo.append(_entry(frame, frame["value"]))
            self.result.steps[frame["key"]] = frame["value"]
        elif frame["t"] == "checkpoint":
            self.memo.append(_entry(frame | {"occurrence": 0}, frame["value"]))
            self.result.checkpoints[frame["key"]] = frame["value"]
        return {"t": "ack", "then": "go"}

    def is_cancelled(self) -> bool:
        return False

    def between_frames(self, act: Callable[[], object]) -> bool:
        act()
        return True

    def leave(self, code: int) -> NoReturn:
        raise Cancelled(f"the run ended with {code}")


class _World:
    """What is outside the run: people, other tasks, time."""

    def __init__(
        self, answers: Mapping[str, Any], signals: Mapping[str, Any], children: Mapping[str, Any], result: Result
    ) -> None:
        self.answers, self.children, self.result = answers, children, result
        self.signals = {name: list(value) if isinstance(value, list) else [value] for name, value in signals.items()}

    def answered(self, frame: Any, memo: list[dict[str, Any]]) -> bool:
        """Whether a wait came to something, which is in the memo then."""
        for value in getattr(self, f"_{frame['t']}")(frame):
            memo.append(_entry(frame, value))
            return True
        return False

    def _ask(self, frame: dict[str, Any]) -> list[Any]:
        return [self.answers[name] for name in (frame["key"], frame["prompt"]) if name in self.answers][:1]

    def _sleep(self, frame: dict[str, Any]) -> list[Any]:
        from datetime import UTC, datetime

        until = frame.get("until")
        self.result.sleeps.append(frame["seconds"] if until is None else datetime.fromtimestamp(until, UTC))
        return [None]

    def _signal(self, frame: dict[str, Any]) -> list[Any]:
        if self.signals.get(frame["name"]):
            return [{"value": self.signals[frame["name"]].pop(0)}]
        return [] if frame["timeout"] is None else [{"timed_out": True}]

    def _run(self, frame: dict[str, Any]) -> list[Any]:
        ended: list[dict[str, Any]] = []
        for child in frame["children"]:
            stopped = frame["fail_fast"] and any(other["state"] != "completed" for other in ended)
            self.result.children.append(child)
            number = len(self.result.children)
            output, error = (None, None) if stopped else self._came_to(child)
            state = "cancelled" if stopped else "failed" if error else "completed"
            told = {"execution": f"child-{number}", "number": number, "state": state}
            ended.append(told | {"output": output, "error": error})
        return [ended]

    def _came_to(self, child: dict[str, Any]) -> tuple[Any, dict[str, Any] | None]:
        """A child's output, or its error."""
        if child["task"] not in self.children:
            raise AssertionError(f"say what the child comes to: children={{“{child['task']}”: its output}}")
        says = self.children[child["task"]]
        try:
            if isinstance(says, BaseException) or (isinstance(says, type) and issubclass(says, BaseException)):
                raise says
            return decode(encode(says(child["input"]) if callable(says) else says)), None
        except Exception as error:
            return None, {"type": type(error).__name__, "message": str(error)}


def _run_of(house: _House, value: Any, result: Result) -> Run:
    result.attempts += 1
    start = {"run": "test", "task": "test", "attempt": result.attempts}
    return Run(house, start, input=value, memo=list(house.memo))


def _entry(frame: dict[str, Any], value: Any) -> dict[str, Any]:
    input_hash = frame.get("input_hash", "")
    key = {"key": frame["key"], "occurrence": frame["occurrence"]}
    return key | {"kind": frame["t"], "input_hash": input_hash, "value": decode(encode(value))}
