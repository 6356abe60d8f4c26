"""F0, F8, F9: a worker that is killed and comes back, one that its own work kills, one that is told to stop."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

from workers.bench.figure import spread
from workers.bench.scratch import end, until
from workers.chaos.finding import Finding
from workers.chaos.houses import Broken, broken
from workers.chaos.load import Load
from workers.chaos.storm import Judgement, judge, settle

HEALTHY = 11.0  # seconds after which the supervisor counts a death as the first one again
RESTARTED = 3.0
DRAIN = 3.0
LAST_WORD = 2.0
UNDER_WAY = 0.25  # seconds in which a claim that was sent before the signal may still be committed
CRASH_BUDGET = 3
WORK = {"chaos-plain": (1, {"seconds": 0.3}), "chaos-steps": (1, {"steps": 5, "seconds": 0.15})}


def killed(database: str, *, times: int) -> Iterator[Finding]:
    """F0: kill -9 of the house's worker in mid-run; seconds until the author's code is active again."""
    began, took = time.monotonic(), []
    with broken(database, more=False) as house:
        load = Load(house.house, seed=times)
        for _ in range(times):
            time.sleep(HEALTHY)
            pk = load.submit("chaos-long", {"seconds": 2.0})
            house.house.reaches(pk, "running")
            killed_at = time.time()
            house.house.kill("worker")
            until(lambda pk=pk: house.house.execution(pk)["attempt"] > 1, every=0.02, what="nobody took it over")  # type: ignore[misc]
            house.house.reaches(pk, "completed")
            again = house.ask_inside("attempts", [pk])[1]
            took.append(again["started_at"] - killed_at)
        found = judge(house, load)
    if max(took) > RESTARTED:
        found.add("F0", f"{max(took):.2f} s")
    figure = spread("F0", database, took, unit="s")
    yield _finding("F0", database, found, faults=times, asked=f"≤ {RESTARTED:g} s", began=began,
                   told=f"p50 {figure.p50} s, at most {max(took):.2f} s")  # fmt: skip


def poisoned(database: str, *, times: int) -> Iterator[Finding]:
    """F8: work that kills its worker each time, among other work."""
    began = time.monotonic()
    with broken(database) as house:
        load = Load(house.house, seed=times, mix=WORK, at_once=8)
        load.begin()
        poison = []
        for _ in range(times):
            poison.append(load.submit("chaos-poison", {}))
            house.house.reaches(poison[-1], "failed", within=90)
        load.submit_no_more()
        rest = settle(house, load)
        load.end()
        found = judge(house, load)
        found.broke += [f"stuck: {pk} is {state}" for pk, state in rest.items()]
        ends = house.ask_inside("judged", list(load.accepted))["ends"]
    for pk in poison:
        if (ends[pk]["reason_code"], ends[pk]["losses"]) != ("worker_lost", CRASH_BUDGET):
            found.add("P6", f"poison ended as {ends[pk]}")
    hurt = [pk for pk, one in ends.items() if pk not in poison and one["state"] != "completed"]
    for pk in hurt:
        found.add("F8", f"{load.accepted[pk]} {pk} ended as {ends[pk]['state']} ({ends[pk]['reason_code']})")
    told = f"{len(poison)} stopped after {CRASH_BUDGET} losses, {len(hurt)} others hurt"
    yield _finding("F8", database, found, faults=(CRASH_BUDGET + 1) * times, told=told, began=began,
                   asked="stops after the budget, others unaffected")  # fmt: skip


def drained(database: str, *, times: int) -> Iterator[Finding]:
    """F9: SIGTERM to a worker at work."""
    began, took, late = time.monotonic(), [], []
    with broken(database, RUNBOARD_DRAIN_SECONDS=str(DRAIN)) as house:
        load = Load(house.house, seed=times, mix={**WORK, "chaos-long": (1, {"seconds": 8.0})}, at_once=16)
        load.begin()
        told_at: dict[str, float] = {}
        for number in range(times):
            name = f"leaver-{number}"
            worker = house.once("leaver", "worker", "--name", name, "--slots", "2")
            until(lambda name=name: _claims(house, load, name), every=0.5, what=f"{name} took nothing")  # type: ignore[misc]
            told_at[name] = time.time()
            os.kill(worker.pid, signal.SIGTERM)
            code = worker.wait(DRAIN + 30)
            took.append(time.time() - told_at[name])
            end(worker)
            late += [f"{name} ended with {code}"] if code else []
        load.submit_no_more()
        rest = settle(house, load)
        load.end()
        found = judge(house, load)
        found.broke += [f"stuck: {pk} is {state}" for pk, state in rest.items()] + late
        for one in house.ask_inside("attempts", list(load.accepted)):
            if one["claimed_at"] > told_at.get(one["worker"], one["claimed_at"]) + UNDER_WAY:
                found.add(
                    "F9", f"{one['worker']} claimed {one['claimed_at'] - told_at[one['worker']]:.2f} s after SIGTERM"
                )
    if max(took) > DRAIN + LAST_WORD:
        found.add("F9", f"ended {max(took):.1f} s after SIGTERM")
    told = f"no claim after it, gone after at most {max(took):.1f} s"
    yield _finding("F9", database, found, faults=times, told=told, began=began,
                   asked=f"no claim after it, exit ≤ {DRAIN:g} + {LAST_WORD:g} s")  # fmt: skip


def _claims(house: Broken, load: Load, name: str) -> bool:
    return any(one["worker"] == name for one in house.ask_inside("attempts", list(load.accepted)))


def _finding(
    measure: str, database: str, found: Judgement, *, faults: int, asked: str, told: str, began: float
) -> Finding:
    return Finding(measure, database, found.n, faults, asked, told, round(time.monotonic() - began, 1), broke=found.broke,
                   more={"states": found.states})  # fmt: skip
