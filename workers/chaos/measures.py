"""The rows of docs/measures.md about faults, one function each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from workers.chaos import brokers, lines, lives, points
from workers.chaos.finding import Finding
from workers.chaos.storm import storm


@dataclass(frozen=True, slots=True)
class Amount:
    """How much of it: seconds of faults a seed, seeds, the first seed, kills at each failpoint, executions of F7."""

    seconds: float = 180.0
    seeds: int = 10
    seed: int = 1
    repeats: int = 20
    executions: int = 2000


def storms(database: str, amount: Amount) -> Iterator[Finding]:
    for seed in range(amount.seed, amount.seed + amount.seeds):
        yield storm(database, seed=seed, seconds=amount.seconds)


MEASURES: dict[str, Callable[[str, Amount], Iterator[Finding]]] = {
    "F0": lambda database, _: lives.killed(database, times=10),
    "F2": storms,
    "F3": lambda database, amount: points.failpoints(database, repeats=amount.repeats),
    "F4": lambda database, _: brokers.killed(database, times=50),
    "F5": lambda database, _: brokers.frozen(database, seconds=60),
    "F6": lambda database, _: lines.half_open(database, times=3),
    "F7": lambda database, amount: points.ambiguous(database, executions=amount.executions),
    "F8": lambda database, _: lives.poisoned(database, times=3),
    "F9": lambda database, _: lives.drained(database, times=5),
}
