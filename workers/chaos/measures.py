"""The rows of docs/measures.md about faults, one function each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from workers.chaos.finding import Finding
from workers.chaos.storm import storm


@dataclass(frozen=True, slots=True)
class Amount:
    """How much of it: seconds of faults a seed, seeds, the first seed, kills at each failpoint."""

    seconds: float = 180.0
    seeds: int = 10
    seed: int = 1
    repeats: int = 20


def storms(database: str, amount: Amount) -> Iterator[Finding]:
    for seed in range(amount.seed, amount.seed + amount.seeds):
        yield storm(database, seed=seed, seconds=amount.seconds)


MEASURES: dict[str, Callable[[str, Amount], Iterator[Finding]]] = {"F2": storms}
