"""What the database says after every step of a machine, and what must be true of it whatever was said to the door."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from django.db.models import Model

from executions import seals
from executions.history.fold import LEAVES_BEHIND, Facts, fold
from executions.models import (
    EVENT_COLUMNS,
    Attempt,
    Event,
    EventRow,
    Execution,
    Question,
    Step,
    Timer,
    Wait,
    standing_of,
)
from executions.states import FINAL, HELD, LIVE, MOVES, State, WaitingFor

Row = dict[str, Any]

NOTED = {"write_refused", "noted"}
COUNTERS = {"last_seq", "revision", "changed_at"}  # what a refusal that is recorded changes, and no more
TOLD_BY_ROW = (
    "attempt", "retries", "losses", "environment_failures", "created_at", "started_at", "finished_at", "number", "run",
)  # fmt: skip
COLUMNS = tuple(
    field.attname
    for field in Execution._meta.concrete_fields
    if field.attname not in {"title", "labels", "agent", "team", "environment", "request_digest", "message",
                             "progress", "depth", "rank", "owner_id", "plan_id", "idempotency_by"}
)  # fmt: skip
AROUND: dict[str, type[Model]] = {
    "attempts": Attempt, "steps": Step, "questions": Question, "waits": Wait, "timers": Timer
}  # fmt: skip


class Broken(AssertionError):
    """An invariant did not hold."""


@dataclass
class Record:
    """All rows as they were seen last, by execution. `look` reads them again and returns what an invariant says against it."""

    rows: dict[UUID, Row] = field(default_factory=dict)
    events: dict[UUID, list[EventRow]] = field(default_factory=lambda: defaultdict(list))
    attempts: dict[UUID, list[Row]] = field(default_factory=dict)
    steps: dict[UUID, list[Row]] = field(default_factory=dict)
    questions: dict[UUID, list[Row]] = field(default_factory=dict)
    waits: dict[UUID, list[Row]] = field(default_factory=dict)
    timers: dict[UUID, list[Row]] = field(default_factory=dict)
    newest: int = 0  # id of an event

    def look(self, *, still: set[UUID], thawed: set[UUID]) -> list[str]:
        """What is wrong now. In `still` nothing was to change but the count of refusals; people let `thawed` go on."""
        before = Record(**vars(self))
        self._read()
        wrong: list[str] = []
        for pk, row in self.rows.items():
            told = self.events[pk][before.rows[pk]["last_seq"] if pk in before.rows else 0 :]
            old = before.rows.get(pk)
            if old is not None and (old != row or pk in still):
                wrong += [
                    f"{_name(row)}: {text}" for text in _changed(old, row, told, still=pk in still, thawed=pk in thawed)
                ]
                wrong += [f"{_name(row)}: {text}" for text in self._rewritten(before, pk)]
            if old != row:
                wrong += [f"{_name(row)}: {text}" for text in self._history(pk, row)]
            if old != row or row["waiting_for"]:
                wrong += [f"{_name(row)}: {text}" for text in self._standing(pk, row)]
        return wrong + list(self._lineages())

    def _read(self) -> None:
        """All rows; of those that changed, everything that stands around them too."""
        before, self.rows = self.rows, {row["id"]: row for row in Execution.objects.order_by("number").values(*COLUMNS)}
        changed = [pk for pk, row in self.rows.items() if row != before.get(pk)]
        if not changed:
            return
        fresh = Event.objects.filter(pk__gt=self.newest).order_by("pk").values_list("pk", *EVENT_COLUMNS)
        self.events = defaultdict(list, {pk: list(events) for pk, events in self.events.items()})
        for pk, *columns in fresh:
            self.newest = max(self.newest, pk)
            self.events[columns[0]].append(EventRow(*columns))
        for name, model in AROUND.items():
            rows: dict[UUID, list[Row]] = {pk: [] for pk in changed}
            for row in model._default_manager.filter(execution__in=changed).order_by("pk").values():
                rows[row["execution_id"]].append(row)
            setattr(self, name, {**getattr(self, name), **rows})

    # What may never change

    def _rewritten(self, before: Record, pk: UUID) -> Iterator[str]:
        for name in ("steps", "questions", "waits", "attempts"):
            now = {row["id"]: row for row in getattr(self, name).get(pk, [])}
            for old in getattr(before, name).get(pk, []):
                if _is_over(name, old) and now.get(old["id"]) != old:
                    yield f"{name}: {old} became {now.get(old['id'])}"

    # What history says

    def _history(self, pk: UUID, row: Row) -> Iterator[str]:
        events = self.events[pk]
        if [event.seq for event in events] != list(range(1, row["last_seq"] + 1)):
            yield f"events {[event.seq for event in events]}, the row counts {row['last_seq']}"
        if [event.kind for event in events if event.kind in FINAL] != ([row["state"]] if row["state"] in FINAL else []):
            yield f"ends {[event.kind for event in events if event.kind in FINAL]}, the row is {row['state']}"
        facts = fold(events)
        yield from (f"event {seq}: {text}" for seq, text in facts.broken)
        yield from _unlike(facts, row)
        told = Counter(event.kind for event in events)
        kept = [step for step in self.steps.get(pk, []) if not step["copied"]]
        answers = [question for question in self.questions.get(pk, []) if question["attempt"]]
        if told["claimed"] != len(self.attempts.get(pk, [])):
            yield f"{told['claimed']} claims, {len(self.attempts.get(pk, []))} attempts"
        if told["step_recorded"] + told["checkpoint"] != len(kept):
            yield f"{told['step_recorded']} steps and {told['checkpoint']} checkpoints told, {len(kept)} kept"
        if told["answered"] != sum(question["state"] == Question.State.ANSWERED for question in answers):
            yield f"{told['answered']} answers told of {answers}"

    # What a state implies

    def _standing(self, pk: UUID, row: Row) -> Iterator[str]:
        attempts, held = self.attempts.get(pk, []), row["state"] in HELD
        if (row["lease_until"] is not None) != held or bool(row["worker"]) < held:
            yield f"{row['state']} with the lease {row['lease_until']} of “{row['worker']}”"
        if [attempt["number"] for attempt in attempts] != list(range(1, row["attempt"] + 1)):
            yield f"attempts {[attempt['number'] for attempt in attempts]}, the row counts {row['attempt']}"
        tokens = [attempt["token"] for attempt in attempts]
        if tokens != sorted(set(tokens)) or (tokens and tokens[-1] > row["token"]):
            yield f"tokens {tokens}, the row's is {row['token']}"
        if [attempt["number"] for attempt in attempts if not attempt["outcome"]] != ([row["attempt"]] if held else []):
            yield f"{row['state']} with attempts {[attempt['outcome'] for attempt in attempts]}"
        yield from self._waiting(pk, row)
        yield from self._waited(pk, row)
        stops = [timer for timer in self.timers.get(pk, []) if timer["kind"] == Timer.Kind.STOP]
        if row["state"] == State.CANCELLING and row["token"] not in {timer["generation"] for timer in stops}:
            yield "cancelling, and no clock ends that"

    def _waiting(self, pk: UUID, row: Row) -> Iterator[str]:
        """Who waits has exactly one thing open, and something living that will end it."""
        questions = [question for question in self.questions.get(pk, []) if question["state"] == Question.State.OPEN]
        waits = [wait for wait in self.waits.get(pk, []) if wait["finished_at"] is None]
        timed = (
            {timer["question_id"] for timer in self.timers.get(pk, [])},
            {timer["wait_id"] for timer in self.timers.get(pk, [])},
        )
        if not (row["state"] == State.WAITING or row["paused_from"] == State.WAITING):
            if questions or waits:
                yield f"{row['state']}, and still open: {questions} {waits}"
            return
        if row["waiting_for"] == WaitingFor.ANSWER:
            if (len(questions), len(waits)) != (1, 0):
                yield f"waits for an answer, open are {questions} {waits}"
            elif questions[0]["deadline"] and questions[0]["id"] not in timed[0]:
                yield "its question has a deadline and no timer"
        elif questions or [wait["kind"] for wait in waits] != [row["waiting_for"]]:
            yield f"waits for {row['waiting_for']}, open are {questions} {waits}"
        elif waits[0]["due_at"] and waits[0]["id"] not in timed[1]:
            yield "its wait has an end and no timer"
        elif waits[0]["kind"] == WaitingFor.CHILDREN and not any(
            other["state"] in LIVE for other in self._of_call(waits[0])
        ):
            yield "waits for children, and none of them lives"

    def _waited(self, pk: UUID, row: Row) -> Iterator[str]:
        """Who went on after children has the ends of all of them, and after a signal what was sent, or that nothing was."""
        for wait in self.waits.get(pk, []):
            if wait["kind"] == WaitingFor.SIGNAL and wait["finished_at"] and not wait["value"] and row["state"] in LIVE:
                yield f"goes on, and nothing came: {wait}"
            if wait["kind"] == WaitingFor.CHILDREN and wait["finished_at"] and wait["attempt"] and row["state"] in LIVE:
                children = self._of_call(wait)
                if living := [_name(child) for child in children if child["state"] in LIVE]:
                    yield f"goes on, and children of its call live: {living}"
                if len(wait["value"] or []) != len(children):
                    yield f"went on with {wait['value']} of {len(children)} children"

    def _of_call(self, wait: Row) -> list[Row]:
        call = (wait["execution_id"], wait["key"], wait["occurrence"])
        return [
            row for row in self.rows.values() if (row["parent_id"], row["parent_key"], row["parent_occurrence"]) == call
        ]

    def _lineages(self) -> Iterator[str]:
        runs = defaultdict(list)
        for row in self.rows.values():
            runs[row["lineage"]].append(row["run"])
        for lineage, numbers in runs.items():
            if sorted(numbers) != list(range(1, len(numbers) + 1)):
                yield f"{lineage}: runs {numbers}"


def _changed(old: Row, row: Row, told: list[EventRow], *, still: bool, thawed: bool) -> Iterator[str]:
    """What may become of a row from one look to the next."""
    differs = {name for name in row if row[name] != old[name]}
    if (still or old["state"] in FINAL) and (differs - COUNTERS or {event.kind for event in told} - NOTED):
        yield f"was to stay as it was ({old['state']}): changed {differs - COUNTERS}, {[event.kind for event in told]}"
    for name in ("token", "attempt", "retries", "environment_failures", "last_seq", "revision", "last_line"):
        if row[name] < old[name]:
            yield f"{name} fell from {old[name]} to {row[name]}"
    if old["state"] in HELD and row["state"] == State.RESUMING and _ends_hold(told) and row["token"] <= old["token"]:
        yield "taken from its worker, and the token is the same"
    if old["state"] == State.PAUSED and row["state"] in LIVE - {State.PAUSED} and not thawed:
        yield f"paused, and nobody let it go on: {row['state']} after {[event.kind for event in told]}"
    if old["state"] != row["state"] and len(told) == 1 and not _may_become(old, row):
        yield f"{old['state']} cannot become {row['state']}"


def _ends_hold(told: list[EventRow]) -> bool:
    return any(event.kind in ("lost", "retry_scheduled", "attempt_failed") for event in told)


def _may_become(old: Row, row: Row) -> bool:
    target = State(row["paused_from"] or row["state"])
    return old["state"] == target or old["state"] in MOVES[target] or old["state"] in MOVES[State(row["state"])]


def _is_over(name: str, row: Row) -> bool:
    return {
        "steps": True,
        "questions": row.get("state") != Question.State.OPEN,
        "waits": row.get("finished_at") is not None,
        "attempts": bool(row.get("outcome")),
    }[name]


def _unlike(facts: Facts, row: Row) -> Iterator[str]:
    """Where the fold of its events is not its row."""
    if facts.standing != standing_of(SimpleNamespace(**row)):
        yield f"history says {facts.standing}, the row {standing_of(SimpleNamespace(**row))}"
    for name in TOLD_BY_ROW:
        if getattr(facts, name) != row[name]:
            yield f"history says {name} {getattr(facts, name)}, the row {row[name]}"
    for name in LEAVES_BEHIND:
        if getattr(facts, name) != (None if row[name] is None else seals.digest(row[name])):
            yield f"history tells of another {name} than the row's {row[name]}"


def _name(row: Row) -> str:
    return f"EX-{row['number']} ({row['state']})"
