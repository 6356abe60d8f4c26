"""The course of an execution: where its time went, and what happened when, laid out for drawing. Pure.

Guarantee: the parts cover the time from submission to the end (or to now) without a gap and without overlap, so their
sum is the whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from executions.board.wording import LOOKS, WAITS, look, plural
from executions.durations import duration, round_duration
from executions.models import Attempt, Event, Execution, Question, Step, Wait
from executions.states import State, WaitingFor
from executions.waiting import Why

# what an event begins, until the next one of these
TURNS = {
    "submitted": "queue",
    "claimed": "work",
    "asked": "human",
    "answered": "queue",
    "released": "queue",
    "lost": "queue",
    "attempt_failed": "queue",
    "retry_scheduled": "queue",
    "slept": "away",
    "child_started": "away",
    "child_ended": "away",
    "woken": "queue",
    "signalled": "queue",
    "paused": "paused",
    "unpaused": "queue",
}
STANDS: dict[str, str] = {
    State.PENDING: "queue",
    State.RESUMING: "queue",
    State.PREPARING: "work",
    State.RUNNING: "work",
    State.CANCELLING: "work",
    State.WAITING: "away",
    State.PAUSED: "paused",
}
KINDS = {
    "queue": "Queue", "work": "Work", "human": "Human", "wait": "Back-off", "away": "Asleep", "paused": "Paused",
}  # fmt: skip
MOST_PARTS = 200
TENTH, WHOLE_SECONDS_FROM = 0.1, 10
WIDTH = 1000.0
THINNEST = 3.0
UNITS = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600),
    *(2 * 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86_400, 2 * 86_400, 7 * 86_400, 30 * 86_400, 365 * 86_400),
)
TICKS = 5
LEFT, STRIDE = 8.0, 189.2  # where the first tick stands and how far the next one is, of 1,000
TOP, ROW, BAR, FOOT = 26, 30, 12, 6
OUTCOMES = {
    "": ("running", "st-running"),
    "completed": ("completed", "st-completed"),
    "suspended": ("completed", "hourglass"),
    "released": ("planning", "undo-2"),
    "cancelled": ("cancelled", "st-cancelled"),
    "terminated": ("cancelled", "st-cancelled"),
    "lost": ("failed", "st-lost"),
}


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of time that went into one thing."""

    kind: str
    begin: datetime
    end: datetime
    x: float = 0.0
    width: float = 0.0

    @property
    def length(self) -> timedelta:
        return self.end - self.begin

    @property
    def title(self) -> str:
        return f"{KINDS[self.kind]} {duration(self.length)}"


@dataclass(frozen=True, slots=True)
class Sum:
    """All the time that went into one thing."""

    kind: str
    name: str
    told: str


@dataclass(frozen=True, slots=True)
class TimeBar:
    """Where the time went: parts to draw in 1,000 units, their sums, and the whole."""

    parts: tuple[Part, ...]
    sums: tuple[Sum, ...]
    whole: str
    title: str

    @property
    def spoken(self) -> str:
        return ", ".join(f"{part.name} {part.told}" for part in self.sums)


@dataclass(frozen=True, slots=True)
class Span:
    """One row of the timeline: a name on the left, a bar on the right."""

    name: str
    icon: str
    s: str
    depth: int
    begin: datetime
    end: datetime
    told: str
    is_soft: bool = False
    is_current: bool = False
    x: float = 0.0
    width: float = 0.0
    y: int = 0
    row_y: int = 0


@dataclass(frozen=True, slots=True)
class Tick:
    x: float
    told: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """Spans laid out under one scale. `now` is where the line of the present stands, or None when all is over."""

    spans: tuple[Span, ...]
    ticks: tuple[Tick, ...]
    height: int
    now: float | None


def time_bar(execution: Execution, events: Iterable[Event], *, now: datetime) -> TimeBar:
    """Where the time from submission to the end went; `events` are those of the kinds in TURNS, in order."""
    parts = _merged(_parts(execution, events, now=now))
    if len(parts) > MOST_PARTS:
        parts = _summed_parts(parts)
    ended = LOOKS[execution.state].word.lower() if execution.is_final else "now"
    whole = sum((part.length for part in parts), timedelta())
    sums, told = _told(parts, whole)
    return TimeBar(tuple(_laid_out(parts)), sums, told, f"From submitted to {ended}")


def timeline(
    execution: Execution,
    attempts: Sequence[Attempt],
    steps: Sequence[Step],
    questions: Sequence[Question],
    waits: Sequence[Wait] = (),
    *,
    now: datetime,
    why: Why | None = None,
) -> Timeline:
    """The execution, its attempts, and in each what it recorded, asked and waited for; `why` says what it waits for now."""
    end = execution.finished_at or now
    spans = [_root(execution, end)]
    for attempt in attempts:
        spans.append(_attempt(attempt, now))
        inside = [_step(step) for step in steps if step.attempt == attempt.number]
        inside += [_question(question, end) for question in questions if question.attempt == attempt.number]
        inside += [_wait(wait, end, why) for wait in waits if wait.attempt == attempt.number]
        spans += sorted(inside, key=lambda span: span.begin)
    unit = _unit((end - execution.created_at).total_seconds())
    placed = (_placed(span, row, execution.created_at, unit) for row, span in enumerate(spans))
    ticks = (Tick(LEFT + STRIDE * n, round_duration(round(unit * n, 3))) for n in range(TICKS))
    line = None if execution.is_final else _x(now, execution.created_at, unit)
    return Timeline(tuple(placed), tuple(ticks), TOP + ROW * len(spans) + FOOT, line)


def _parts(execution: Execution, events: Iterable[Event], *, now: datetime) -> Iterable[Part]:
    end = execution.finished_at or now
    turns = [(max(execution.created_at, min(event.at, end)), event) for event in events if event.kind in TURNS]
    for (begin, event), (until, _) in pairwise([*turns, (end, None)]):
        if event is not None:
            yield from _turn(event, begin, max(until, begin))


def _turn(event: Event, begin: datetime, end: datetime) -> Iterable[Part]:
    """What an event began; a wait for a due time stands before the queue."""
    kind = _begun(event)
    due = json.loads(event.data).get("available_at") if kind == "queue" else None
    if event.kind == "submitted" or not due:
        yield Part(kind, begin, end)
        return
    free = min(max(datetime.fromisoformat(due), begin), end)
    yield Part("wait", begin, free)
    yield Part("queue", free, end)


def _begun(event: Event) -> str:
    """What time goes into from now on, by where the execution stands after this event."""
    state, _, rest = event.standing.partition(" ")
    if state == State.WAITING and rest.startswith(f"for {WaitingFor.ANSWER}"):
        return "human"
    return STANDS.get(state, TURNS[event.kind])


def _merged(parts: Iterable[Part]) -> list[Part]:
    """Neighbours of one kind are one part, and what took no time is none."""
    merged: list[Part] = []
    for part in parts:
        if not part.length:
            continue
        if merged and merged[-1].kind == part.kind:
            merged[-1] = replace(merged[-1], end=part.end)
        else:
            merged.append(part)
    return merged


def _summed_parts(parts: Sequence[Part]) -> list[Part]:
    """One part a kind, one after the other: too many to draw each."""
    begin, summed = parts[0].begin, []
    for kind in KINDS:
        length = sum((part.length for part in parts if part.kind == kind), timedelta())
        summed.append(Part(kind, begin, begin + length))
        begin += length
    return [part for part in summed if part.length]


def _told(parts: Sequence[Part], whole: timedelta) -> tuple[tuple[Sum, ...], str]:
    """The sums in words, rounded so that what is read adds up to what is read as the whole."""
    grain = 1.0 if whole >= timedelta(minutes=1) else TENTH if whole >= timedelta(seconds=1) else 0.001
    exact = {kind: sum(part.length.total_seconds() for part in parts if part.kind == kind) / grain for kind in KINDS}
    grains = {kind: int(value) for kind, value in exact.items()}
    missing = round(whole.total_seconds() / grain) - sum(grains.values())
    for kind in sorted(exact, key=lambda kind: grains[kind] - exact[kind])[: max(missing, 0)]:
        grains[kind] += 1
    sums = (
        Sum(kind, KINDS[kind], _in_grains(count, grain))
        for kind, count in grains.items()
        if count or kind in ("queue", "work")
    )
    return tuple(sums), _in_grains(round(whole.total_seconds() / grain), grain)


def _in_grains(count: int, grain: float) -> str:
    if grain == 1.0:
        return duration(float(count)) if count >= WHOLE_SECONDS_FROM else f"{count} s"
    return f"{count * grain:.1f} s" if grain == TENTH else f"{count} ms"


def _laid_out(parts: Sequence[Part]) -> Iterable[Part]:
    """Widths by length, none too thin to see, with hair's breadths between."""
    whole = sum((part.length for part in parts), timedelta())
    if not whole:
        return
    wide = [max(part.length / whole * WIDTH, THINNEST) for part in parts]
    scale, x = WIDTH / sum(wide), 0.0
    for part, width in zip(parts, wide, strict=True):
        yield replace(part, x=round(x + 0.5, 2), width=round(max(width * scale - 1, 1), 2))
        x += width * scale


def _root(execution: Execution, end: datetime) -> Span:
    return Span(
        f"{execution}", "list-tree", look(execution).s, 0, execution.created_at, end,
        duration(end - execution.created_at), is_soft=True,
    )  # fmt: skip


def _attempt(attempt: Attempt, now: datetime) -> Span:
    s, icon = OUTCOMES.get(attempt.outcome, ("failed", "st-failed"))
    end = attempt.finished_at or now
    name = f"Attempt {attempt.number} on {attempt.worker}"
    return Span(name, icon, s, 1, attempt.claimed_at, end, duration(end - attempt.claimed_at),
                is_current=not attempt.outcome)  # fmt: skip


def _step(step: Step) -> Span:
    if step.kind == Step.Kind.CHECKPOINT:
        return Span(f"Checkpoint {step.key}", "flag", "completed", 2, step.started_at, step.finished_at, "")
    name = step.key if not step.occurrence else f"{step.key} × {step.occurrence + 1}"
    return Span(name, "save", "completed", 2, step.started_at, step.finished_at,
                duration(step.finished_at - step.started_at))  # fmt: skip


def _question(question: Question, end: datetime) -> Span:
    until = question.answered_at or question.deadline if question.state != Question.State.OPEN else end
    closed = min(until or end, end)
    return Span(
        f"Asked: {question.prompt[:100]}", "message-circle-question-mark", "ask", 2, question.asked_at, closed,
        duration(closed - question.asked_at), is_current=question.state == Question.State.OPEN,
    )  # fmt: skip


def _wait(wait: Wait, end: datetime, why: Why | None) -> Span:
    is_open = wait.finished_at is None
    until = min(wait.finished_at or end, end)
    name = WAITED[wait.kind](wait)
    if is_open and why is not None and why.code.startswith("waiting_for_"):
        name = why.sentence.rstrip(".")
    looks = WAITS[wait.kind]
    return Span(name, looks.icon, looks.s, 2, wait.started_at, until, duration(until - wait.started_at),
                is_current=is_open)  # fmt: skip


def _children_of(wait: Wait) -> str:
    return (
        f"Waited for {plural(len(wait.value or []), 'child', 'children')}" if wait.finished_at else "Waits for children"
    )


def _signal_of(wait: Wait) -> str:
    came = isinstance(wait.value, dict) and "value" in wait.value
    return f"Signal “{wait.name}”" if came or not wait.finished_at else f"No signal “{wait.name}” came in time"


WAITED: dict[str, Callable[[Wait], str]] = {
    WaitingFor.TIME: lambda wait: f"Slept until {wait.due_at:%d %b %H:%M:%S} UTC",
    WaitingFor.CHILDREN: _children_of,
    WaitingFor.SIGNAL: _signal_of,
}


def _unit(seconds: float) -> float:
    """The distance of two ticks: a round number of which a bit more than five hold everything."""
    return next((unit for unit in UNITS if unit * (TICKS + 0.1) >= seconds), UNITS[-1])


def _x(moment: datetime, begin: datetime, unit: float) -> float:
    return round(min(max(LEFT + (moment - begin).total_seconds() / unit * STRIDE, LEFT), WIDTH), 1)


def _placed(span: Span, row: int, begin: datetime, unit: float) -> Span:
    x = _x(span.begin, begin, unit)
    width = max(_x(span.end, begin, unit) - x, THINNEST)
    y = TOP + ROW * row
    return replace(span, x=min(x, WIDTH - width), width=round(width, 1), y=y + (ROW - BAR) // 2, row_y=y)
