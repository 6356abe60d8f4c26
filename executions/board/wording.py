"""How a page says things: sizes, states, actors and events in a person's words. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from executions.durations import duration
from executions.models import Event, Execution
from executions.states import State, WaitingFor

ENVIRONMENTS_SAID = {"bwrap": "bubblewrap", "helper": "its own process"}


@dataclass(frozen=True, slots=True)
class Look:
    """How a state looks: `s` picks its colour, `icon` its glyph, `word` says it without either."""

    s: str
    icon: str
    word: str


LOOKS: dict[str, Look] = {
    State.PENDING: Look("pending", "st-pending", "Pending"),
    State.RESUMING: Look("pending", "st-pending", "Resuming"),
    State.PREPARING: Look("running", "st-running", "Preparing"),
    State.RUNNING: Look("running", "st-running", "Running"),
    State.CANCELLING: Look("cancelled", "st-running", "Cancelling"),
    State.WAITING: Look("ask", "st-ask", "Waiting"),
    State.PAUSED: Look("planning", "st-paused", "Paused"),
    State.COMPLETED: Look("completed", "st-completed", "Completed"),
    State.FAILED: Look("failed", "st-failed", "Failed"),
    State.TIMED_OUT: Look("failed", "st-failed", "Timed out"),
    State.REJECTED: Look("failed", "st-failed", "Rejected"),
    State.CANCELLED: Look("cancelled", "st-cancelled", "Cancelled"),
    State.TERMINATED: Look("cancelled", "st-cancelled", "Terminated"),
}

WAITS: dict[str, Look] = {
    WaitingFor.ANSWER: Look("ask", "st-ask", "Waiting for an answer"),
    WaitingFor.TIME: Look("planning", "timer", "Sleeping"),
    WaitingFor.CHILDREN: Look("running", "git-fork", "Waiting for its children"),
    WaitingFor.SIGNAL: Look("planning", "activity", "Waiting for a signal"),
}

# kind → colour, icon, what happened
EVENTS: dict[str, tuple[str, str, str]] = {
    "submitted": ("planning", "send", "Submitted"),
    "claimed": ("running", "arrow-right", "Claimed"),
    "started": ("running", "play", "Started"),
    "step_recorded": ("completed", "save", "Step recorded"),
    "progress_reported": ("running", "activity", "Progress"),
    "step_diverged": ("failed", "git-branch", "Step differs from its record"),
    "checkpoint": ("completed", "flag", "Checkpoint"),
    "output_generated": ("completed", "save", "Output"),
    "slept": ("planning", "timer", "Waits"),
    "woken": ("pending", "timer", "Woken"),
    "child_started": ("planning", "git-fork", "Started children"),
    "child_ended": ("planning", "git-fork", "Child ended"),
    "signalled": ("completed", "activity", "Signal"),
    "pause_requested": ("pending", "pause", "Pause asked for"),
    "paused": ("planning", "st-paused", "Paused"),
    "unpaused": ("pending", "play", "Resumed"),
    "asked": ("ask", "message-circle-question-mark", "Asked"),
    "answered": ("completed", "check", "Answered"),
    "attempt_failed": ("failed", "x", "Attempt failed"),
    "retry_scheduled": ("pending", "rotate-cw", "Retry scheduled"),
    "lost": ("failed", "unplug", "Worker lost"),
    "released": ("pending", "undo-2", "Given back"),
    "resumed": ("pending", "play", "Goes on"),
    "moved": ("planning", "arrow-right", "Moved"),
    "noted": ("planning", "file-pen-line", "Noted"),
    "cancel_requested": ("cancelled", "square", "Cancel asked for"),
    "write_refused": ("planning", "ban", "Refused"),
    "completed": ("completed", "check", "Completed"),
    "failed": ("failed", "x", "Failed"),
    "timed_out": ("failed", "timer", "Timed out"),
    "rejected": ("failed", "ban", "Rejected"),
    "cancelled": ("cancelled", "square", "Cancelled"),
    "terminated": ("cancelled", "square", "Terminated"),
}


@dataclass(frozen=True, slots=True)
class Ask:
    """How a verb is asked for: what follows from it, and whether a reason must be given."""

    verb: str
    heading: str
    told: str
    button: str
    icon: str
    leave: str = "Let it go on"
    is_dangerous: bool = True
    needs_reason: bool = False


ASKS = {
    "pause": Ask(
        "pause",
        "Pause",
        "It stops where it next records something and gives its worker back. Nothing that was recorded or comes meanwhile is "
        "lost, and Resume lets it go on.",
        "Pause it",
        "pause",
        is_dangerous=False,
    ),
    "cancel": Ask(
        "cancel",
        "Stop",
        "What it has done so far stays done, and it cannot go on. Its task can be run again.",
        "Stop it",
        "square",
    ),
    "terminate": Ask(
        "terminate",
        "Terminate",
        "Its record is closed now, without waiting to see it stop. Its worker ends it when it notices; until then its code may "
        "still do something outside, and nothing of that is recorded. Cancel it instead wherever you can wait.",
        "Terminate it",
        "circle-x",
        needs_reason=True,
    ),
}


@dataclass(frozen=True, slots=True)
class Happening:
    """An event as the page tells it."""

    seq: int
    s: str
    icon: str
    title: str
    detail: str
    by: str
    at: datetime


def look(execution: Execution) -> Look:
    """How an execution's state looks; waiting says what for."""
    waits = WAITS.get(execution.waiting_for) if execution.state == State.WAITING else None
    return waits or LOOKS[execution.state]


def happening(event: Event) -> Happening:
    """An event in words: what, some detail of it, by whom."""
    s, icon, title = EVENTS.get(event.kind, ("planning", "activity", event.kind.replace("_", " ").capitalize()))
    data = json.loads(event.data)
    return Happening(event.seq, s, icon, title, _detail(event, data), actor(event.actor), event.at)


def actor(name: str) -> str:
    """Who did it: “user:mira” is mira, “worker:w1” is w1, “schedule:s” is schedule s, “system” is Runboard."""
    kind, colon, rest = name.partition(":")
    if not colon:
        return "Runboard" if kind in ("system", "scheduler", "") else kind
    return f"{kind} {rest}" if kind in ("token", "schedule") else rest


def size(characters: int) -> str:
    """How much text that is: “640 B”, “12 KB”, “3.1 MB”."""
    kilo = 1000
    if characters < kilo:
        return f"{characters} B"
    if characters < kilo * kilo:
        return f"{characters / kilo:.0f} KB"
    return f"{characters / kilo / kilo:.1f} MB"


def memory(number: int) -> str:
    """A limit in bytes as an author writes it: “128 MiB”."""
    for unit, word in ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB")):
        if number >= unit and number % unit == 0:
            return f"{number // unit} {word}"
    return f"{number} B"


def plural(number: int, one: str, many: str = "") -> str:
    """“1 line”, “18,204 lines”."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def shown(value: Any, *, most: int = 200) -> str:
    """A JSON value on one line, for a table; long ones are cut."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= most else text[:most] + "…"


def first_line(text: str, *, most: int = 300) -> str:
    return text.strip().partition("\n")[0][:most]


def _detail(event: Event, data: Mapping[str, Any]) -> str:
    """The part of an event's data that a person asks for first, else its reason."""
    told = DETAILS.get(event.kind)
    return told(data) if told else first_line(event.reason)


def _where(data: Mapping[str, Any]) -> str:
    driver = str(data.get("driver", ""))
    return ENVIRONMENTS_SAID.get(driver, driver) or str(data.get("method", ""))


def _error(data: Mapping[str, Any]) -> str:
    error = data.get("error") or {}
    return first_line(f"{error.get('type', '')}: {error.get('message', '')}".strip(": "))


def _born(data: Mapping[str, Any]) -> str:
    where = f"to queue {data.get('queue', '')}, version {data.get('version', '')}"
    again = HOW.get(str(data.get("how", "")))
    return f"run {data.get('run')}, {again}; {where}" if again else where


def _moment(text: Any) -> str:
    return f"{datetime.fromisoformat(str(text)).astimezone(UTC):%d %b %H:%M:%S} UTC" if text else "a moment"


def _listed(data: Mapping[str, Any]) -> str:
    return ", ".join(dict.fromkeys(map(str, data.get("tasks", []))))[:200]


HOW = {
    "retry": "the same again",
    "rerun": "with changes",
    "resume": "with what was recorded",
    "fork": "with another answer",
}
DETAILS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "submitted": _born,
    "started": lambda data: f"attempt {data.get('attempt', '')} · {_where(data)}",
    "step_recorded": lambda data: f"{data.get('key', '')} · {duration(float(data.get('seconds', 0)))}",
    "step_diverged": lambda data: str(data.get("key", "")),
    "checkpoint": lambda data: str(data.get("name", "")),
    "slept": lambda data: (
        f"for the signal “{data['name']}”" if "name" in data else f"until {_moment(data.get('until'))}"
    ),
    "woken": lambda data: str(data.get("key", "")),
    "child_started": lambda data: f"{plural(int(data.get('children', 0)), 'child', 'children')}: {_listed(data)}",
    "child_ended": lambda data: f"EX-{data.get('number', '')} {str(data.get('state', '')).replace('_', ' ')}",
    "signalled": lambda data: f"“{data.get('name', '')}” {shown(data.get('value'), most=120)}",
    "progress_reported": lambda data: f"{data.get('fraction') or 0:.0%} {data.get('message', '')}".strip(),
    "answered": lambda data: shown(data.get("value"), most=120),
    "retry_scheduled": lambda data: f"in {duration(float(data.get('delay', 0)))} · {_error(data)}",
}
