"""The drill: on a house at work, submits a hundred executions, kills the worker, empties Redis, and says which clauses held.

What it touches: executions of its own task, `runboard-drill`, archived afterwards; the worker processes of this house, which
its supervisor brings back; its embedded Redis, which holds wake-ups alone. Whatever else that worker had under way loses its
attempt and goes on with its recorded steps, as after any kill.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from executions import clauses, queries, transitions
from executions.history.verifying import Verification
from tasks import manifest
from tasks.models import Task
from workers.runtimes import processes

COUNT = 100
STEPS = 3
REPEATED = 10  # submitted a second time, with the same key
UNDER_WAY = 4  # executions that must have recorded a step before the worker is killed
PATIENCE = 180.0
STARTING = 20.0  # seconds in which the worker of a house that has just started must be there
LOOK = 0.1
SLUG = "runboard-drill"
SOURCE = f"""import time
import runboard

def part(number):
    time.sleep(0.1)
    return number

@runboard.task
def drill():
    return sum(runboard.step(f"part-{{number}}", part, number) for number in range(1, {STEPS + 1}))
"""
DOCUMENT: dict[str, Any] = {
    "slug": SLUG, "title": "Drill", "kind": "script", "runtime": "python", "source": SOURCE, "labels": ["drill"],
    "description": "What `manage.py drill` submits while it breaks things.",
}  # fmt: skip


class Unfit(Exception):
    """There is nothing here to drill with; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Held:
    """One clause of the promise: whether it held, and by what one can see that."""

    clause: str
    says: str
    holds: bool
    evidence: str


@dataclass
class Drill:
    """One drill; `say` is told what is being done."""

    say: Callable[[str], None]
    count: int = COUNT
    empties_redis: bool = True
    ids: list[UUID] = field(default_factory=list)
    again: list[UUID] = field(default_factory=list)
    killed_at: float = 0.0
    killed: str = ""
    held: list[UUID] = field(default_factory=list)
    rest: dict[UUID, str] = field(default_factory=dict)

    def run(self) -> list[Held]:
        """Everything in order; what it made is archived however it ends."""
        workers = living_workers(settings.HOME)
        task = make_task()
        try:
            self._submit(task)
            self._wait(lambda: len(self._begun()) >= min(UNDER_WAY, self.count), "no execution of the drill began")
            self._break(workers)
            self._wait(lambda: not clauses.unfinished(self.ids), "")
            self.rest = clauses.unfinished(self.ids)
            return list(self._judge())
        finally:
            for pk in clauses.unfinished(self.ids):
                with contextlib.suppress(transitions.Refused):
                    transitions.cancel(pk, now=timezone.now(), actor="drill")
            manifest.amend(task, now=timezone.now(), archived=True)

    def _submit(self, task: Task) -> None:
        self.say(f"submitting {self.count} executions of {SLUG}")
        run = uuid.uuid4().hex

        def submit(number: int) -> UUID:
            made = transitions.submit(task, input={}, now=timezone.now(), actor="drill",
                                      idempotency_key=f"drill-{run}-{number}")  # fmt: skip
            return made.execution.pk

        self.ids = [submit(number) for number in range(self.count)]
        self.again = [submit(number) for number in range(min(REPEATED, self.count))]

    def _break(self, workers: Sequence[tuple[str, int]]) -> None:
        """kill -9 of the first worker that holds work of the drill, and an empty Redis."""
        self.killed, pid = workers[0]
        self.held = [pk for pk, end in clauses.ends(self.ids).items() if end["state"] in ("preparing", "running")]
        self.say(f"kill -9 {pid} ({self.killed}); it and the others hold {len(self.held)} executions of the drill")
        os.kill(pid, signal.SIGKILL)
        self.killed_at = time.time()
        if self.empties_redis:
            self.say("emptying Redis")
            empty_redis()

    def _begun(self) -> list[UUID]:
        return [pk for pk, end in clauses.ends(self.ids).items() if end["steps"]]

    def _wait(self, there: Callable[[], bool], missing: str) -> None:
        limit = time.monotonic() + PATIENCE
        while not there():
            if time.monotonic() > limit:
                if missing:
                    raise Unfit(f"{missing} within {PATIENCE:g} s: is a worker at work? (`manage.py status`)")
                return
            time.sleep(LOOK)

    def _judge(self) -> Iterator[Held]:
        ends, attempts = clauses.ends(self.ids), clauses.attempts(self.ids)
        broken = Counter(breach.clause for breach in clauses.breaches(self.ids))
        states = Counter(end["state"] for end in ends.values())
        took = self._recoveries(attempts)
        lease = settings.LEASE.total_seconds()
        yield Held(
            "P1",
            "accepted is never lost",
            len(ends) == self.count and not self.rest,
            f"{len(ends)} of {self.count} are there, {self.count - len(self.rest)} have ended: {dict(states)}",
        )
        yield Held(
            "P3",
            "exactly one final state",
            not broken["P3"] and states["completed"] == self.count,
            f"{sum(states.values())} executions, {broken['P3']} with no end, two, or another than their own",
        )
        steps = sum(len(end["steps"]) for end in ends.values())
        resumed = sum(end["attempt"] > min(end["steps"].values(), default=1) for end in ends.values())
        right = all(end["output"] == STEPS * (STEPS + 1) // 2 for end in ends.values())
        yield Held(
            "P4",
            "a recorded step is never run again",
            not broken["P4"] and right and steps == STEPS * self.count,
            f"{steps} steps recorded, each once; {resumed} executions went on with steps of an earlier attempt",
        )
        yield Held(
            "P5",
            "only the current attempt can write",
            not broken["P5"],
            f"{len(attempts)} attempts of {self.count} executions, numbered densely, tokens rising",
        )
        yield Held(
            "P6",
            f"a killed worker’s work goes on within {lease + 7:g} s (lease + 7)",
            bool(took) and max(took) <= lease + 7 and not self.rest,
            f"{len(took)} attempts lost, claimed again after at most {max(took, default=0):.2f} s",
        )
        yield Held(
            "P11",
            "history is whole and adds up to the row",
            not broken["P11"] and not (found := self._verified()),
            f"{self.count} histories verified" if not broken["P11"] and not found else "; ".join(found[:3]),
        )
        yield Held(
            "P12",
            "one idempotency key, one execution",
            self.again == self.ids[: len(self.again)],
            f"{len(self.again)} submitted twice, {len(set(self.ids))} executions",
        )
        slots = queries.slots_by_queue()
        most = most_at_once(attempts)
        yield Held(
            "P15",
            "no slot is used twice",
            most <= max(slots.values(), default=most),
            f"at most {most} at a time in {max(slots.values(), default=0)} slots",
        )

    def _recoveries(self, attempts: list[dict[str, Any]]) -> list[float]:
        """Seconds from the kill to the next claim of what was lost by it."""
        following = {(one["execution"], one["number"]): one for one in attempts}
        lost = [one for one in attempts if one["outcome"] == "lost"]
        again = [following.get((one["execution"], one["number"] + 1)) for one in lost]
        return [later["claimed_at"] - self.killed_at for later in again if later is not None]

    def _verified(self) -> list[str]:
        return [str(found) for pk in self.ids for found in Verification(only=pk).findings()]


def living_workers(home: Path) -> list[tuple[str, int]]:
    """The worker processes of the house that runs in this home, by name. Raises Unfit where there is none."""
    try:
        rows = json.loads((home / "status.json").read_text())["processes"]
    except (OSError, ValueError) as error:
        raise Unfit(f"No house runs in {home}; start one with `make run`.") from error
    mark = f"RUNBOARD_HOME={home}"
    found = [
        (row["name"], int(row["pid"]))
        for row in rows
        if row["name"].startswith("worker") and row["pid"]
        and mark in processes.read(f"/proc/{row['pid']}/environ").split("\0")
        and "worker" in processes.read(f"/proc/{row['pid']}/cmdline").split("\0")
    ]  # fmt: skip
    if not found:
        raise Unfit(f"No worker of {home} is running; `manage.py status` says what is.")
    return found


def make_task() -> Task:
    """The drill's own task, brought back where an earlier drill archived it. Raises Unfit where no worker could run it."""
    limit = time.monotonic() + STARTING
    while not any(worker.sandbox for worker in queries.workers() if worker.is_living):
        if time.monotonic() > limit:
            raise Unfit("No living worker can run a sandbox; `manage.py sandbox_doctor` says why.")
        time.sleep(LOOK)
    task = Task.objects.filter(slug=SLUG).first()
    if task is None:
        return manifest.define(DOCUMENT, now=timezone.now(), by="drill").task
    manifest.amend(task, now=timezone.now(), archived=False)
    if task.latest is None or task.latest.source != SOURCE:
        manifest.add_version(task, DOCUMENT, now=timezone.now(), by="drill")
    task.refresh_from_db()
    return task


def empty_redis() -> None:
    """FLUSHDB: the wake-ups of this house, and whatever else shares its database number. One that is away is empty too."""
    import redis

    with contextlib.suppress(redis.RedisError), redis.Redis.from_url(settings.REDIS_URL, socket_timeout=5) as client:
        client.flushdb()


def most_at_once(attempts: Sequence[dict[str, Any]]) -> int:
    """How many attempts were open at the same moment; a lost one was open until it was taken back."""
    moments = [(one["claimed_at"], 1) for one in attempts] + [
        (one["finished_at"] or time.time(), -1) for one in attempts
    ]
    most = now = 0
    for _, change in sorted(moments):
        now += change
        most = max(most, now)
    return most
