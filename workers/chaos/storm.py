"""F2: all faults at once, over a mix of work; then they stop, and everything that was accepted must have ended well."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from workers.chaos.faults import Faults
from workers.chaos.finding import Finding
from workers.chaos.houses import Broken, broken
from workers.chaos.load import Load

SETTLED = 90.0  # seconds after the last fault in which everything must end
RESULTS: dict[str, Any] = {
    "chaos-plain": 1, "chaos-steps": 15, "chaos-flaky": 1, "chaos-asks": "1 yes", "chaos-script": 6, "chaos-sleeps": 1,
    "chaos-parent": 2, "chaos-long": 1,
}  # fmt: skip
ENDED_BY_US = {"cancelled", "terminated"}


@dataclass
class Judgement:
    """What became of what was accepted, as the database, the evidence outside it and the processes say."""

    broke: list[str] = field(default_factory=list)
    states: dict[str, int] = field(default_factory=dict)
    n: int = 0
    gave_up: int = 0
    started_again: int = 0

    def add(self, clause: str, what: str) -> None:
        self.broke.append(f"{clause}: {what}"[:300])


def storm(database: str, *, seed: int, seconds: float) -> Finding:
    """One seed of F2."""
    with broken(database) as house:
        load, faults = Load(house.house, seed), Faults(house, seed)
        load.begin()
        faults.run(seconds)
        load.submit_no_more()
        rest = settle(house, load)
        load.end()
        found = judge(house, load)
        orphans = house.strangers()
    for pk, state in rest.items():
        found.add("stuck", f"{load.accepted.get(pk, 'child')} {pk} is {state} {SETTLED:g} s after the last fault")
    for pid in (*orphans, *house.house.processes()):
        found.add("orphan", str(pid))
    told = f"{found.n} ended, {found.gave_up} gave up, {found.started_again} started more than once"
    return Finding(
        "F2", database, found.n, faults.done.total(), "0 lost, doubled, gaps, stuck, orphans", told, seconds, seed,
        found.broke, more={"by_fault": dict(faults.done), "states": found.states, "slowest_request": round(load.slowest, 2)},
    )  # fmt: skip


def settle(house: Broken, load: Load, *, within: float = SETTLED) -> dict[str, str]:
    """Wait until everything has ended; what has not, with its state."""
    limit = time.monotonic() + within
    rest: dict[str, str] = {}
    while time.monotonic() < limit:
        try:
            rest = house.ask_inside("unfinished", list(load.accepted))
        except AssertionError:  # the database is on its way back
            rest = {"": "the database does not answer"}
        if not rest:
            return {}
        time.sleep(1)
    return rest


def judge(house: Broken, load: Load) -> Judgement:
    """Ask the database which clauses broke, and compare what it holds with the evidence outside it."""
    told = house.ask_inside("judged", list(load.accepted))
    found = Judgement(states=told["states"], n=len(told["ends"]))
    for clause, pk, what in told["breaches"]:
        found.add(clause, f"{load.accepted.get(pk, 'child')} {pk}: {what}")
    for question, times in load.answered.items():
        if times > 1:
            found.add("P8", f"question {question} took {times} answers")
    evidence = house.evidence()
    for pk, end in told["ends"].items():
        _compare(found, load.accepted.get(pk, "chaos-plain"), pk, end, evidence.get(pk, []))
    return found


def _compare(found: Judgement, task: str, pk: str, end: dict[str, Any], lines: list[str]) -> None:
    """One execution: it ended as its task does, its recorded steps did not run again, and what ran was an attempt."""
    starts = Counter(int(line.split()[0]) for line in lines if " " not in line)
    found.started_again += len(starts) > 1
    if end["state"] == "completed" and end["output"] != RESULTS[task]:
        found.add("P3", f"{task} {pk} returned {end['output']!r}")
    if end["state"] == "failed" and end["reason_code"] in ("worker_lost", "gave_up"):
        found.gave_up += 1
    elif end["state"] not in {"completed", *(ENDED_BY_US if task in ("chaos-long", "chaos-plain") else ())}:
        found.add("P3", f"{task} {pk} ended as {end['state']} ({end['reason_code']})")
    if starts and max(starts) > end["attempt"]:
        found.add("P5", f"{task} {pk} started in attempt {max(starts)} of {end['attempt']}")
    if any(count > 1 for count in starts.values()):
        found.add("P5", f"{task} {pk} started twice in one attempt: {dict(starts)}")
    for attempt, _, step in (line.partition(" ") for line in lines if " " in line):
        if int(attempt) > end["steps"].get(step, end["attempt"]):
            found.add("P4", f"{task} {pk} ran {step} in attempt {attempt}, recorded in attempt {end['steps'][step]}")
