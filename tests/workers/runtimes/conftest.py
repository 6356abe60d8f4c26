"""Plays an order in a real sandbox as a runner would, and looks for what it leaves behind."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tasks.sdk.protocol import Ask, AwaitSignal, Checkpoint, Diverged, Error, Frame, Output, Run, Sleep, Step
from workers.runtimes import Exit, Line, Lines, Memo, Order, Runtime, Sandbox, janitor, probe
from workers.runtimes.bwrap import BwrapRuntime

OWNER = f"tests of the runtimes {os.getpid()}"


@dataclass
class Played:
    """Everything that came out of one attempt."""

    exit: Exit
    frames: list[Frame] = field(default_factory=list)
    seconds: float = 0.0

    def all(self, kind: type[Any]) -> list[Any]:
        return [frame for frame in self.frames if isinstance(frame, kind)]

    @property
    def lines(self) -> list[Line]:
        return [line for batch in self.all(Lines) for line in batch.lines]

    @property
    def text(self) -> str:
        return "\n".join(line.text for line in self.lines)

    @property
    def output(self) -> Any:
        """The value of an output that counts."""
        assert self.exit.is_clean, (self.exit, self.all(Error), self.text[-2000:])
        outputs = self.all(Output)
        return outputs[0].value if outputs else None

    @property
    def error(self) -> Error:
        [error] = self.all(Error)
        assert isinstance(error, Error)
        return error

    @property
    def memo(self) -> tuple[Memo, ...]:
        """What a next attempt would be given."""
        return tuple(Memo(step.key, step.occurrence, "step", step.input_hash, step.value) for step in self.all(Step))


def attend(sandbox: Sandbox, *, then: str = "go", on: Callable[[Frame, Sandbox], None] | None = None) -> Played:
    """Listens as the runner does: acknowledges steps, ends at whatever is waited for."""
    began = time.monotonic()
    frames = []
    try:
        for frame in sandbox.frames():
            frames.append(frame)
            if isinstance(frame, Step | Diverged):
                sandbox.ack(frame.key, frame.occurrence, then=then, why="" if then == "go" else "pause")
            if isinstance(frame, Checkpoint):
                sandbox.ack(frame.key, 0)
            if isinstance(frame, Ask | Sleep | Run | AwaitSignal):
                sandbox.end()
            if on is not None:
                on(frame, sandbox)
    finally:
        ended = sandbox.close()
    return Played(ended, frames, time.monotonic() - began)


def order(source: str = "", **members: Any) -> Order:
    known: dict[str, Any] = {"execution": "e1", "attempt": 1, "task": "some-task", "source": source}
    return Order(**(known | members))


@pytest.fixture(scope="session")
def bwrap() -> Runtime:
    """The real driver. A machine that cannot sandbox fails these tests with the mend: nothing is skipped."""
    found = probe()
    assert found.ok, found.problem
    return BwrapRuntime(owner=OWNER)


@pytest.fixture
def play(bwrap: Runtime) -> Iterator[Callable[..., Played]]:
    """Plays a source in a sandbox; afterwards nothing of it may be left: no process, no descriptor."""
    before = _descriptors()

    def run(source: str, *, on: Any = None, then: str = "go", **members: Any) -> Played:
        return attend(bwrap.prepare(order(source, **members)), on=on, then=then)

    yield run
    assert janitor.leftovers(OWNER) == []
    assert _descriptors() == before


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
