"""The registered actions that the bench submits."""

from __future__ import annotations

import time

import runboard


@runboard.task(name="bench.stamp")
def stamp() -> float:
    """Unix time of the author's first line."""
    return time.time()


@runboard.task(name="bench.nothing")
def nothing() -> None:
    """Does nothing: what is left is what it costs to run something."""


@runboard.task(name="bench.steps")
def steps(count: int) -> float:
    """Seconds that `count` recorded steps took, each of which does nothing."""
    began = time.monotonic()
    for number in range(count):
        runboard.step(f"step-{number}", int)
    return time.monotonic() - began
