"""Gives a house work while it is hurt: submits, answers and cancels through its JSON API, as a patient client does.

Every request is repeated until it is answered, with the same idempotency key; what was accepted is remembered.
"""

from __future__ import annotations

import http.client
import random
import threading
import time
import uuid
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from workers.bench.scratch import House

AT_ONCE = 24  # executions under way, at most
WAIT = 0.05
MIX: dict[str, tuple[int, dict[str, Any]]] = {
    "chaos-plain": (26, {"seconds": 0.05}),
    "chaos-steps": (28, {"steps": 5, "seconds": 0.15}),
    "chaos-flaky": (10, {}),
    "chaos-asks": (10, {}),
    "chaos-script": (8, {}),
    "chaos-long": (6, {"seconds": 30}),
    "chaos-sleeps": (6, {"seconds": 0.8}),
    "chaos-parent": (6, {"children": 2}),
}
CANCELLED = "chaos-long"  # this one would take too long: it is cancelled in mid-run


@dataclass
class Load:
    """`accepted`: the task of each execution that the house gave us an id for."""

    house: House
    seed: int
    mix: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=lambda: dict(MIX))
    at_once: int = AT_ONCE
    accepted: dict[str, str] = field(default_factory=dict)
    submitted_at: dict[str, float] = field(default_factory=dict)
    answered: dict[str, int] = field(default_factory=dict)  # by question: how often the house took an answer
    slowest: float = 0.0  # seconds a request took
    _stop: threading.Event = field(default_factory=threading.Event)
    _quiet: threading.Event = field(default_factory=threading.Event)

    def begin(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 — a fault's luck
        self._threads = [
            threading.Thread(target=work, daemon=True) for work in (self._submit, self._answer, self._cancel)
        ]
        _ = self.house.token
        for thread in self._threads:
            thread.start()

    def submit_no_more(self) -> None:
        """What is under way is still answered and cancelled."""
        self._quiet.set()
        self._threads[0].join()

    def end(self) -> None:
        self._quiet.set()
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def submit(self, task: str, value: dict[str, Any], **members: str) -> str:
        """The id that the house gave it."""
        key = uuid.uuid4().hex
        wanted = {"task": task, "input": value, **members}
        status, told = self.ask("POST", "executions/", wanted, **{"Idempotency-Key": key})
        if status not in (HTTPStatus.CREATED, HTTPStatus.OK):
            raise AssertionError(f"{task} was not accepted: {status} {told}")
        pk = str(told["id"])
        self.accepted[pk] = task
        self.submitted_at[pk] = time.time()
        return pk

    def ask(self, method: str, path: str, value: Any = None, **headers: str) -> tuple[int, Any]:
        """An answer that is the house's word: failures of its parts are waited out."""
        while True:
            began = time.monotonic()
            try:
                status, told = self.house.api(method, path, value, **headers)
            except (OSError, http.client.HTTPException, ValueError):
                status, told = 0, None
            self.slowest = max(self.slowest, time.monotonic() - began)
            if HTTPStatus.OK <= status < HTTPStatus.INTERNAL_SERVER_ERROR or self._stop.is_set():
                return status, told
            time.sleep(WAIT * 4)

    def _submit(self) -> None:
        tasks, weights = list(self.mix), [weight for weight, _ in self.mix.values()]
        while not self._quiet.is_set():
            if self._open() >= self.at_once:
                time.sleep(WAIT * 4)
                continue
            for task in self._random.choices(tasks, weights, k=6):
                self.submit(task, self.mix[task][1])

    def _open(self) -> int:
        """How many have not ended."""
        _, page = self.ask("GET", "executions/?phase=pending,running&limit=200")
        return len((page or {}).get("results", ()))

    def _answer(self) -> None:
        while not self._stop.is_set():
            _, page = self.ask("GET", "questions/?state=open")
            for question in (page or {}).get("results", ()):
                status, _ = self.ask("POST", f"questions/{question['id']}/answer/", {"value": "yes"})
                if status == HTTPStatus.OK:
                    self.answered[question["id"]] = self.answered.get(question["id"], 0) + 1
            time.sleep(WAIT * 4)

    def _cancel(self) -> None:
        """Some as they wait, most while they run; asked again until it has ended."""
        while not self._stop.is_set():
            _, page = self.ask("GET", f"executions/?task={CANCELLED}&phase=pending,running&limit=200")
            for row in (page or {}).get("results", ()):
                if row["state"] != "cancelling" and self._random.random() < 0.5:  # noqa: PLR2004
                    self.ask("POST", f"executions/{row['id']}/cancel/", {})
            time.sleep(WAIT * 10)
