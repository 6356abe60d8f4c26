"""The work of a chaos run. Each attempt and each step leaves a line outside the database, which nothing takes back:

`RUNBOARD_HOME/evidence/<execution>`: `<attempt>` for a start, `<attempt> <step>` for a step that ran.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import runboard


def leave(*words: object) -> None:
    """One line, in one write, so that processes do not mix theirs."""
    folder = Path(os.environ["RUNBOARD_HOME"]) / "evidence"
    line = " ".join(map(str, (runboard.context.attempt, *words))) + "\n"
    fd = os.open(folder / str(runboard.context.execution), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(fd, line.encode())
    finally:
        os.close(fd)


def part(number: int, seconds: float) -> int:
    leave(f"part-{number}")
    time.sleep(seconds)
    return number


@runboard.task(name="chaos.plain")
def plain(seconds: float = 0.0) -> int:
    leave()
    print("a line")
    time.sleep(seconds)
    return 1


@runboard.task(name="chaos.steps")
def steps(steps: int = 5, seconds: float = 0.1) -> int:
    """The sum of its steps."""
    leave()
    return sum(runboard.step(f"part-{number}", part, number, seconds) for number in range(1, steps + 1))


@runboard.task(name="chaos.flaky")
def flaky() -> int:
    """Fails in its first two attempts that come to their end."""
    leave()
    if runboard.context.attempt <= 2:  # noqa: PLR2004
        raise runboard.Retryable("not yet")
    return 1


@runboard.task(name="chaos.asks")
def asks() -> str:
    leave()
    before = runboard.step("part-1", part, 1, 0.0)
    answer = runboard.ask("Go on?", options=["yes", "no"])
    return f"{before} {answer}"


@runboard.task(name="chaos.sleeps")
def sleeps(seconds: float = 1.0) -> int:
    leave()
    runboard.step("part-1", part, 1, 0.0)
    runboard.sleep(seconds)
    return 1


@runboard.task(name="chaos.parent")
def parent(children: int = 2) -> int:
    """The sum of what its children return, one after the other."""
    leave()
    return sum(runboard.run("chaos-plain", {"seconds": 0.05}) for _ in range(children))


@runboard.task(name="chaos.long")
def long(seconds: float = 60.0) -> int:
    """Something to cancel, or to hold."""
    leave()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.05)
    return 1


@runboard.task(name="chaos.poison")
def poison() -> None:
    """Kills the worker that runs it, each time."""
    leave()
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)
