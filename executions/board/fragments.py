"""Cards as HTML: the only place that draws them, for page, answer and push alike.

Guarantee: a fragment holds nothing of a user and nothing that changes without a new version, so one text serves every
browser, and the newest version is the right one. Clocks are moments in attributes, run by the page's script. Nothing of an
execution's input, prompt or log is in it, and of its output only the beginning.

Each is one element with one id, that says its column (`data-in`), its place in it (`data-order`, smallest first) and its
version. What is drawn is kept by everything it shows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from zlib import crc32

from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from executions.board.columns import column_of_state
from executions.board.wording import LOOKS, first_line
from executions.durations import duration
from executions.models import Execution
from executions.states import CLAIMABLE, Reason, State, WaitingFor
from executions.waiting import Why
from tasks.models import Plan, Task, TaskVersion
from tasks.policy import RetryPolicy

KEPT = 4096  # fragments of 1 to 2 KB
MOST_LABELS = 2
LONGEST_ERROR = 240
HUES = 5
REASON_ICONS = {
    "waiting_for_answer": "st-ask",
    "waiting_for_time": "timer",
    "waiting_for_children": "git-fork",
    "waiting_for_signal": "activity",
    "paused": "st-paused",
    "pausing": "pause",
    "retrying": "timer",
    "not_before": "calendar-clock",
    "no_worker": "unplug",
    "workers_lost": "unplug",
    "none_can_run": "unplug",
    "draining": "unplug",
    "cancelling": "ban",
    "input_invalid": "ban",
}
CHIPS = {
    State.PREPARING: ("preparing", ""),
    State.CANCELLING: ("cancelling", "warn"),
    State.PAUSED: ("paused", "warn"),
    State.TIMED_OUT: ("timed out", "bad"),
    State.REJECTED: ("rejected", "bad"),
}
WAITS = {
    WaitingFor.ANSWER: ("waiting for you", "ask"),
    WaitingFor.TIME: ("sleeping", ""),
    WaitingFor.CHILDREN: ("waiting for children", ""),
    WaitingFor.SIGNAL: ("waiting for a signal", ""),
}
RESUMED = {
    Reason.RECOVERED: ("resuming: worker lost", "warn"),
    Reason.DRAINED: ("resuming: worker stopped", ""),
    Reason.ANSWERED: ("answered", "good"),
    Reason.TIMER: ("woken", ""),
    Reason.CHILDREN: ("children ended", ""),
    Reason.SIGNALLED: ("signalled", "good"),
    Reason.UNPAUSED: ("unpaused", ""),
}


@dataclass(frozen=True, slots=True)
class Clock:
    """A time on a card: `told` as it stands without script, `at` the moment, and how it runs: up, down, ago or not."""

    told: str
    at: str
    runs: str = ""


@dataclass(frozen=True, slots=True)
class Chip:
    """A finer state in two words; `due` is what it counts down to."""

    text: str
    tone: str = ""
    icon: str = ""
    due: Clock | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """Everything that an execution's card shows."""

    id: str
    name: str
    version: int
    state: str
    column: str
    order: str
    label: str
    parent: str
    task: str
    title: str
    queue: str
    agent: str
    hue: int
    priority: str
    labels: tuple[str, ...]
    chips: tuple[Chip, ...]
    clock: Clock
    message: str
    percent: int | None
    output: str
    error: str
    why: Why | None
    why_icon: str
    due: Clock | None
    asks: bool


@dataclass(frozen=True, slots=True)
class PlanCard:
    """Everything that a plan's card shows. `missing` are required inputs that its draft does not have."""

    id: int
    version: int
    order: str
    task: str
    title: str
    note: str
    queue: str
    agent: str
    hue: int
    priority: str
    missing: tuple[str, ...]
    given: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LibraryCard:
    """A task as the drawer shows it."""

    slug: str
    title: str
    about: str
    description: str
    missing: tuple[str, ...]


def card(execution: Execution, why: Why | None = None) -> SafeString:
    """An execution's card; `why` says why it is not moving, where it is not."""
    return _draw("executions/_card.html", _card(execution, why))


def plan(plan: Plan) -> SafeString:
    """The card of a plan that stands in Planning."""
    return _draw("executions/_plan.html", _plan(plan))


def library(task: Task) -> SafeString:
    """A task in the library drawer."""
    return _draw("executions/_library.html", _task(task))


def column_of(execution: Execution) -> str:
    """The column an execution stands in; empty for one that has left the board: cancelled, or ended and run again."""
    if execution.is_final and getattr(execution, "is_superseded", False):
        return ""
    return column_of_state(execution.state, execution.paused_from)


@lru_cache(maxsize=KEPT)
def _draw(template: str, shown: Card | PlanCard | LibraryCard) -> SafeString:
    return render_to_string(template, {"card": shown})


def _card(execution: Execution, why: Why | None) -> Card:
    column = column_of(execution)
    return Card(
        id=str(execution.pk),
        name=str(execution),
        version=execution.revision,
        state=execution.state,
        column=column,
        order=repr(execution.rank if column == "pending" else -execution.state_at.timestamp()),
        label=f"{execution} {execution.title}, {LOOKS[execution.state].word.lower()}",
        parent=f"EX-{number}" if (number := getattr(execution, "parent_number", None)) else "",
        task=execution.task.slug,
        title=execution.title,
        queue=execution.queue,
        agent=execution.agent,
        hue=_hue(execution.agent),
        priority=execution.priority,
        labels=tuple(map(str, execution.labels[:MOST_LABELS])),
        chips=_chips(execution),
        clock=_clock(execution),
        message=execution.message if not execution.is_final else "",
        percent=_percent(execution),
        output=_output(execution),
        error=_error(execution.error) if column == "failed" else "",
        why=why,
        why_icon=REASON_ICONS.get(why.code, "hourglass") if why else "",
        due=_due(datetime.fromisoformat(why.due)) if why and why.due else None,
        asks=execution.state == State.WAITING and execution.waiting_for == WaitingFor.ANSWER,
    )


def _plan(plan: Plan) -> PlanCard:
    version = plan.task.latest
    assert version is not None  # a plan is made of a task that can run
    given = plan.input if isinstance(plan.input, dict) else {}
    return PlanCard(
        id=plan.pk,
        version=plan.version,
        order=repr(plan.position),
        task=plan.task.slug,
        title=plan.name,
        note=first_line(plan.note),
        queue=version.queue,
        agent=version.agent,
        hue=_hue(version.agent),
        priority=version.priority,
        missing=_missing(version, given),
        given=tuple(given),
    )


def _task(task: Task) -> LibraryCard:
    version = task.latest
    assert version is not None  # the library holds tasks that can run
    runs = "Action" if version.kind == "action" else version.runtime.capitalize()
    about = f"{runs} · {version.queue}"
    return LibraryCard(task.slug, task.title, about, first_line(task.description), _missing(version, {}))


def _missing(version: TaskVersion, given: Mapping[str, Any]) -> tuple[str, ...]:
    """Required members of the input that are not given: the form is asked for them before anything is started."""
    return tuple(str(name) for name in version.input_schema.get("required", []) if name not in given)


def _chips(execution: Execution) -> tuple[Chip, ...]:
    """What the column alone does not say, the most telling first."""
    found = [_state_chip(execution)] if execution.state != State.RESUMING else [_resuming_chip(execution)]
    if execution.pausing:
        found.append(Chip("pausing", "warn", "pause"))
    if execution.attempt > 1 and not (found[0] and found[0].text.startswith("retrying")):
        found.append(Chip(f"attempt {execution.attempt}"))
    if execution.run > 1:
        found.append(Chip(f"run {execution.run}", icon="history"))
    return tuple(chip for chip in found if chip is not None)


def _state_chip(execution: Execution) -> Chip | None:
    told = WAITS.get(WaitingFor(execution.waiting_for)) if execution.state == State.WAITING else None
    told = told or CHIPS.get(State(execution.state))
    return Chip(*told) if told else None


def _resuming_chip(execution: Execution) -> Chip | None:
    due = _due(execution.available_at) if execution.available_at else None
    if execution.reason_code == Reason.RETRY:
        most = RetryPolicy.read(execution.task_version.retry).max_retries
        return Chip(f"retrying {execution.retries}/{most}", "warn", "rotate-cw", due)
    told = RESUMED.get(Reason(execution.reason_code), ("resuming", ""))
    return Chip(*told, due=due)


def _clock(execution: Execution) -> Clock:
    """How long it has waited, how long it has run, how long it took, or how long ago it failed."""
    column = column_of(execution)
    if execution.finished_at is not None:
        took = execution.finished_at - (execution.started_at or execution.created_at)
        if column == "completed":
            return Clock(duration(took), execution.finished_at.isoformat())
        return Clock(_told(execution.finished_at), execution.finished_at.isoformat(), "ago")
    since = execution.started_at if column == "running" and execution.started_at else execution.created_at
    return Clock(_told(since), since.isoformat(), "up")


def _due(moment: datetime) -> Clock:
    return Clock(f"at {_told(moment)}", moment.isoformat(), "down")


def _told(moment: datetime) -> str:
    return f"{moment:%d %b %H:%M} UTC"


def _percent(execution: Execution) -> int | None:
    """How far it is, where it said so and has not ended."""
    if execution.progress is None or execution.is_final or execution.state in CLAIMABLE - {State.RESUMING}:
        return None
    return round(min(max(execution.progress, 0.0), 1.0) * 100)


def _output(execution: Execution) -> str:
    """The beginning of what a completed execution returned (`for_cards` reads no more of it)."""
    return str(getattr(execution, "output_begins", None) or "") if execution.state == State.COMPLETED else ""


def _error(text: str | None) -> str:
    error: Mapping[str, Any] = json.loads(text) if text else {}
    told = f"{error.get('type') or ''}: {error.get('message') or ''}".strip(": ")
    return first_line(told, most=LONGEST_ERROR)


def _hue(agent: str) -> int:
    """Every agent has its colour, the same on every card."""
    return crc32(agent.encode()) % HUES + 1
