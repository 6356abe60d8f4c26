"""F3 and F7: the end of a process at each place where a record and its effect could come apart."""

from __future__ import annotations

import json
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from workers.bench.scratch import end, until
from workers.chaos.finding import Finding
from workers.chaos.houses import LEASE, RECOVERED, Broken, broken
from workers.chaos.load import Load
from workers.chaos.storm import judge, settle

AT_ONCE = 4  # victims
PATIENCE = 60.0  # seconds in which a victim must have passed its place
WORK: dict[str, dict[str, Any]] = {
    "chaos-plain": {"seconds": 0.1}, "chaos-steps": {"steps": 5, "seconds": 0.05}, "chaos-asks": {},
    "chaos-sleeps": {"seconds": 0.3},
}  # fmt: skip
WORKER_PLACES = {  # each with the work that passes it
    "before_claim_commit": "chaos-plain",
    "after_claim_commit": "chaos-plain",
    "before_spawn": "chaos-plain",
    "after_hello": "chaos-plain",
    "before_start_commit": "chaos-plain",
    "before_log_commit": "chaos-plain",
    "before_step_commit": "chaos-steps",
    "after_step_commit": "chaos-steps",
    "before_ask_commit": "chaos-asks",
    "before_sleep_commit": "chaos-sleeps",
    "before_complete_commit": "chaos-plain",
    "after_complete_commit": "chaos-plain",
}
AMBIGUOUS = "after_any_commit:0.05=ambiguous"


@dataclass
class Deaths:
    """When each victim died, by name."""

    at: dict[str, float] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)

    def watch(self, victims: dict[str, subprocess.Popen[bytes]], *, within: float = PATIENCE) -> None:
        """Wait for them all; who lives on never came to its place."""
        limit = time.monotonic() + within
        while victims and time.monotonic() < limit:
            for name in [name for name, process in victims.items() if process.poll() is not None]:
                process = victims.pop(name)
                self.at[name] = time.time()
                if process.returncode != -signal.SIGKILL:
                    self.missed.append(f"{name} ended with {process.returncode}")
            time.sleep(0.01)
        for name, process in victims.items():
            self.missed.append(f"{name} was not at its place within {within:g} s")
            end(process, by=signal.SIGKILL)


def failpoints(database: str, *, repeats: int, only: Collection[str] = ()) -> Iterator[Finding]:
    """F3, a row a place, all of them or `only` these: `repeats` processes die there while others live on."""
    with broken(database, more=False) as house:
        for place, kill in [
            ("after_submit_commit", _submitters),
            *((place, _workers) for place in WORKER_PLACES),
            ("before_reclaim_commit", _reclaimers),
            ("before_fire_commit", _timers),
        ]:
            if place in only or not only:
                yield _finding(house, place, kill, repeats)


def _finding(house: Broken, place: str, kill: Callable[[Broken, Load, str, int], Deaths], repeats: int) -> Finding:
    began = time.monotonic()
    task = WORKER_PLACES.get(place, "chaos-sleeps" if place == "before_fire_commit" else "chaos-plain")
    load = Load(house.house, seed=repeats, mix={task: (1, WORK[task])}, at_once=12)
    deaths = kill(house, load, place, repeats)
    rest = settle(house, load, within=RECOVERED + 20)
    load.end()
    found = judge(house, load)
    found.broke += [f"stuck: {pk} is {state}" for pk, state in rest.items()] + deaths.missed
    took = recoveries(house.ask_inside("attempts", list(load.accepted)), deaths.at)
    worst = max(took, default=0.0)
    if worst > RECOVERED:
        found.add("P6", f"recovered after {worst:.1f} s")
    told = f"{len(took)} taken over, at most {worst:.1f} s after the kill"
    return Finding(f"F3 {place}", database=house.database, n=found.n, faults=len(deaths.at),
                   asked=f"≤ {RECOVERED:g} s (lease {LEASE:g} + 7)", found=told, seconds=round(time.monotonic() - began, 1),
                   broke=found.broke)  # fmt: skip


def recoveries(attempts: list[dict[str, Any]], deaths: dict[str, float]) -> list[float]:
    """Seconds from a victim's death to the next claim of what it held."""
    following = {(one["execution"], one["number"]): one for one in attempts}
    held = [one for one in attempts if one["worker"] in deaths and one["outcome"] in ("lost", "failed", "terminated")]
    again = [(following.get((one["execution"], one["number"] + 1)), one) for one in held]
    return [later["claimed_at"] - deaths[one["worker"]] for later, one in again if later is not None]


def _workers(house: Broken, load: Load, place: str, repeats: int) -> Deaths:
    """Workers of one slot, some at a time, beside one that lives."""
    load.begin()
    deaths = Deaths()
    for names in _groups(f"{place}-victim", repeats):
        command = ("worker", "--slots", "1", "--name")
        deaths.watch({name: house.once("victim", *command, name, FAILPOINT=place) for name in names})
    load.submit_no_more()
    return deaths


def _timers(house: Broken, load: Load, place: str, repeats: int) -> Deaths:
    load.begin()
    deaths = _schedulers(house, place, repeats)
    load.submit_no_more()
    return deaths


def _reclaimers(house: Broken, load: Load, place: str, repeats: int) -> Deaths:
    """Schedulers that die as they take back what workers lost; those die the whole while."""
    load.begin()
    deaths, lost = Deaths(), Deaths()
    for names in _groups(f"{place}-victim", repeats):
        victims = {name: house.once("victim", "scheduler", FAILPOINT=place) for name in names}
        limit = time.monotonic() + PATIENCE * 2
        while any(process.poll() is None for process in victims.values()) and time.monotonic() < limit:
            losers = [f"loser-{uuid.uuid4().hex[:8]}" for _ in range(AT_ONCE)]
            command = ("worker", "--slots", "1", "--name")
            lost.watch({name: house.once("victim", *command, name, FAILPOINT="after_claim_commit") for name in losers})
        deaths.watch(victims, within=0.5)
    load.submit_no_more()
    deaths.missed += lost.missed
    deaths.at.update(lost.at)
    return deaths


def _schedulers(house: Broken, place: str, repeats: int) -> Deaths:
    deaths = Deaths()
    for names in _groups(f"{place}-victim", repeats):
        deaths.watch({name: house.once("victim", "scheduler", FAILPOINT=place) for name in names})
    return deaths


def _submitters(house: Broken, load: Load, place: str, repeats: int) -> Deaths:
    """Processes that die with the id of what they submitted; the same key finds it again."""
    deaths, asked = Deaths(), house.home / "submit.asked"
    for number in range(repeats):
        wanted = {"task": "chaos-plain", "input": {}, "key": uuid.uuid4().hex}
        asked.write_text(json.dumps(wanted))
        command = ("chaos", "--inside", "submit", "--argument", str(asked))
        deaths.watch({f"{place}-{number}": house.once("victim", *command, FAILPOINT=place)})
        load.accepted[house.ask_inside("submit", wanted)] = "chaos-plain"
    load.begin()
    load.submit_no_more()
    return deaths


def _groups(stem: str, repeats: int) -> Iterator[list[str]]:
    for first in range(0, repeats, AT_ONCE):
        yield [f"{stem}-{number}" for number in range(first, min(first + AT_ONCE, repeats))]


def ambiguous(database: str, *, executions: int) -> Iterator[Finding]:
    """F7: one commit of the door in twenty is done, and reported as if the connection had died."""
    began = time.monotonic()
    with broken(database, FAILPOINT=AMBIGUOUS) as house:
        load = Load(house.house, seed=executions)
        load.begin()
        until(lambda: len(load.accepted) >= executions, within=executions, every=0.5, what="not enough were accepted")
        load.submit_no_more()
        rest = settle(house, load)
        load.end()
        found = judge(house, load)
        found.broke += [f"stuck: {pk} is {state}" for pk, state in rest.items()]
    told = f"{found.n} ended, {found.gave_up} gave up"
    yield Finding("F7", database, found.n, 0, "0 breaks at 5 %", told, round(time.monotonic() - began, 1),
                  broke=found.broke, more={"states": found.states})  # fmt: skip
