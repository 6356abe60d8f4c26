"""The clauses of the promise, asked of what the database holds about some executions. Reads only.

`make chaos` and `manage.py drill` ask it after they have hurt a house. What a database row cannot say (a start that left no
record, a process that outlived its worker) they find themselves.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, pairwise
from typing import Any
from uuid import UUID

from executions.models import Attempt, Event, Execution, Question, Step
from executions.states import FINAL, HELD

CHUNK = 200
AFTER_THE_END = {"write_refused", "noted"}
BY_ATTEMPT = {"started", "step_recorded", "asked", "slept"}  # what a running attempt writes, with its number


@dataclass(frozen=True, slots=True)
class Breach:
    """A clause (P1 … P16) that did not hold, for which execution, and what was found instead."""

    clause: str
    execution: str
    found: str


def breaches(ids: Collection[UUID]) -> list[Breach]:
    """Where these accepted executions break P1, P3, P4, P5, P8 or P11; nothing where the promise held."""
    wanted = sorted(ids)
    return [
        breach
        for first in range(0, len(wanted), CHUNK)
        for breach in _of_some(wanted[first : first + CHUNK])
    ]  # fmt: skip


def unfinished(ids: Collection[UUID]) -> dict[UUID, str]:
    """Those that have not ended, with their states."""
    rows = Execution.objects.filter(pk__in=ids).exclude(state__in=FINAL)
    return dict(rows.values_list("pk", "state"))


def ends(ids: Collection[UUID]) -> dict[UUID, dict[str, Any]]:
    """By execution: state, reason_code, attempt, losses, retries, output (a value), created_at and started_at (unix seconds),
    and by each step's key the attempt that recorded it."""
    names = ("pk", "state", "reason_code", "attempt", "losses", "retries", "output", "created_at", "started_at")
    found = {row["pk"]: {**row, "pk": str(row["pk"]), "output": json.loads(row["output"] or "null"), "steps": {},
                         "created_at": _unix(row["created_at"]), "started_at": _unix(row["started_at"])}
             for row in Execution.objects.filter(pk__in=ids).values(*names)}  # fmt: skip
    for step in Step.objects.filter(execution__in=ids, kind=Step.Kind.STEP, copied=False):
        found[step.execution_id]["steps"][step.key] = step.attempt
    return found


def attempts(ids: Collection[UUID]) -> list[dict[str, Any]]:
    """Every attempt of these executions: execution, number, worker, outcome, and its moments (unix seconds)."""
    return [
        {
            "execution": str(attempt.execution_id),
            "number": attempt.number,
            "worker": attempt.worker,
            "claimed_at": _unix(attempt.claimed_at),
            "started_at": _unix(attempt.started_at),
            "finished_at": _unix(attempt.finished_at),
            "outcome": attempt.outcome,
        }
        for attempt in Attempt.objects.filter(execution__in=ids).order_by("execution", "number")
    ]


def births(ids: Collection[UUID]) -> list[UUID]:
    """The executions that these have started, and those that they have."""
    found: list[UUID] = []
    newest = list(ids)
    while newest:
        newest = list(Execution.objects.filter(parent__in=newest).values_list("pk", flat=True))
        found += newest
    return found


def _of_some(ids: Sequence[UUID]) -> Iterator[Breach]:
    rows = {row.pk: row for row in Execution.objects.filter(pk__in=ids).defer("input", "output", "error")}
    events, attempts = _by_execution(Event, ids, "seq"), _by_execution(Attempt, ids, "number")
    steps, questions = _by_execution(Step, ids, "id"), _by_execution(Question, ids, "id")
    for pk in ids:
        if (row := rows.get(pk)) is None:
            yield Breach("P1", str(pk), "accepted, and there is no such execution")
            continue
        history, tries = events.get(pk, []), attempts.get(pk, [])
        found = [
            *(("P11", text) for text in _gaps(row, history)),
            *(("P3", text) for text in _ends(row, history)),
            *(("P5", text) for text in _tries(row, history, tries)),
            *(("P4", text) for text in _records(history, steps.get(pk, []))),
            *(("P8", text) for text in _answers(history, questions.get(pk, []))),
        ]
        yield from (Breach(clause, str(pk), text) for clause, text in found)


def _by_execution(model: Any, ids: Sequence[UUID], order: str) -> dict[UUID, list[Any]]:
    rows = model.objects.filter(execution__in=ids).order_by("execution", order)
    return {pk: list(some) for pk, some in groupby(rows, key=lambda row: row.execution_id)}


def _gaps(row: Execution, history: list[Event]) -> Iterator[str]:
    """`seq` is dense from 1 and the row counts the same."""
    numbers = [event.seq for event in history]
    if numbers != list(range(1, row.last_seq + 1)):
        yield f"events {numbers}, the row counts {row.last_seq}"
    if history and history[0].kind != "submitted":
        yield f"history begins with {history[0].kind}"


def _ends(row: Execution, history: list[Event]) -> Iterator[str]:
    """One end, which is the row's, and nothing after it but refusals and notes."""
    ends = [event for event in history if event.kind in FINAL]
    if [event.kind for event in ends] != ([row.state] if row.state in FINAL else []):
        yield f"{row.state}, with the ends {[event.kind for event in ends]}"
    if ends and (later := {event.kind for event in history if event.seq > ends[0].seq} - AFTER_THE_END):
        yield f"after its end: {sorted(later)}"


def _tries(row: Execution, history: list[Event], tries: list[Attempt]) -> Iterator[str]:
    """Attempts are dense, tokens rise, one is open if and only if a slot is held, and only the current one wrote."""
    if [attempt.number for attempt in tries] != list(range(1, row.attempt + 1)):
        yield f"attempts {[attempt.number for attempt in tries]}, the row counts {row.attempt}"
    tokens = [attempt.token for attempt in tries]
    if any(later <= earlier for earlier, later in pairwise(tokens)):
        yield f"tokens that do not rise: {tokens}"
    if any(not attempt.outcome for attempt in tries) != (row.state in HELD):
        yield f"{row.state}, with attempts that ended as {[attempt.outcome for attempt in tries]}"
    current = 0
    for event in history:
        current += event.kind == "claimed"
        by = json.loads(event.data).get("attempt") if event.kind in BY_ATTEMPT else None
        if by is not None and by != current:
            yield f"event {event.seq} ({event.kind}) by attempt {by}, when attempt {current} held it"


def _records(history: list[Event], steps: list[Step]) -> Iterator[str]:
    """Each recorded step has its one event, and each event its step."""
    told = Counter(_step(json.loads(event.data)) for event in history if event.kind == "step_recorded")
    kept = Counter((step.key, step.occurrence) for step in steps if step.kind == Step.Kind.STEP and not step.copied)
    if told != kept or set(kept.values()) - {1}:
        yield f"steps {dict(kept)}, told {dict(told)}"


def _answers(history: list[Event], questions: list[Question]) -> Iterator[str]:
    """A question was answered once, or not at all; an answer that was taken over from an earlier run is told there."""
    told = Counter(json.loads(event.data).get("question") for event in history if event.kind == "answered")
    kept = {str(one.pk) for one in questions if one.state == Question.State.ANSWERED and one.attempt}
    if set(told) - {None} != kept or any(count > 1 for count in told.values()):
        yield f"answered {sorted(kept)}, told {dict(told)}"


def _step(data: dict[str, Any]) -> tuple[str, int]:
    return str(data.get("key")), int(data.get("occurrence", 0))


def as_ids(texts: Iterable[str]) -> list[UUID]:
    return [UUID(text) for text in texts]


def _unix(moment: datetime | None) -> float | None:
    return moment.timestamp() if moment is not None else None
