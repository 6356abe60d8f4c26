"""Runs a task without a house, as the house would: every answered question starts the code again from its records.

result = runboard.testing.run(main, {"name": "Ada"}, answers={"ask-1": True})
assert result.output == {"number": 4}
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
    from typing import Any, NoReturn


class Result:
    """What a run came to. `question` is the ask frame it waits for, or None when it ran to its end."""

    def __init__(self) -> None:
        self.output: Any = None
        self.question: dict[str, Any] | None = None
        self.steps: dict[str, Any] = {}
        self.log: list[str] = []
        self.progress: list[tuple[float, str]] = []
        self.attempts = 0


def call_it_runboard() -> None:
    """`import runboard` means here what it means in a sandbox, whatever name this package was loaded under."""
    name = __name__.rpartition(".")[0]
    for loaded, module in list(sys.modules.items()):
        if loaded == name or loaded.startswith(name + "."):
            sys.modules.setdefault("runboard" + loaded.removeprefix(name), module)


def run(task: Callable[..., Any] | str, input: Any = None, *, answers: Mapping[str, Any] | None = None) -> Result:
    """Runs a marked function, or the script at a path, with `answers` by key (`ask-1`) or by the question's text.

    What the code raises is raised here. A question without an answer ends the run; `result.question` tells which.
    """
    call_it_runboard()
    result, value = Result(), decode(encode(input))
    memo: list[dict[str, Any]] = []
    while True:
        house = _House(result, memo)
        token = current_run.set(_run_of(house, value, result))
        result.question = None
        try:
            returned = call(load(task), value) if isinstance(task, str) else invoke(task, value)
        except Suspended:
            if not _answered(result.question, answers or {}, memo):
                return result
        else:
            result.output = house.output if house.has_output else decode(encode(returned))
            return result
        finally:
            current_run.reset(token)


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
        if frame["t"] == "ask":
            self.result.question = frame
            raise Suspended(frame["prompt"])
        if frame["t"] == "diverged":
            raise AssertionError(f"“{frame['key']}” was met with another input or kind when the code ran again")
        self.memo.append(_entry(frame, "step", frame["value"]))
        self.result.steps[frame["key"]] = frame["value"]
        return {"t": "ack", "then": "go"}

    def is_cancelled(self) -> bool:
        return False

    def leave(self, code: int) -> NoReturn:
        raise Cancelled(f"the run ended with {code}")


def _run_of(house: _House, value: Any, result: Result) -> Run:
    result.attempts += 1
    start = {"run": "test", "task": "test", "attempt": result.attempts}
    return Run(house, start, input=value, memo=list(house.memo))


def _answered(question: Any, answers: Mapping[str, Any], memo: list[dict[str, Any]]) -> bool:
    for name in (question["key"], question["prompt"]):
        if name in answers:
            memo.append(_entry(question, "ask", answers[name]))
            return True
    return False


def _entry(frame: dict[str, Any], kind: str, value: Any) -> dict[str, Any]:
    input_hash = frame.get("input_hash", "")
    key = {"key": frame["key"], "occurrence": frame["occurrence"]}
    return key | {"kind": kind, "input_hash": input_hash, "value": decode(encode(value))}
