"""The registered action that the bench submits: its first line tells the time."""

from __future__ import annotations

import time

import runboard


@runboard.task(name="bench.stamp")
def stamp() -> float:
    """Unix time of the author's first line."""
    return time.time()
