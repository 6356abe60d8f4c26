"""What a person reads about a failure: what happened, why, what to do next, and the last time it went well. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from executions.board.wording import first_line, plural, shown
from executions.durations import duration, round_duration
from executions.models import Attempt, Execution
from executions.states import Reason, State
from tasks.policy import Limits, RetryPolicy

MOST_STACK = 20_000
MOST_ROWS = 8
MOST_INPUT = 64 * 1024
MISSING = object()

HEADLINES = {
    Reason.ERROR: "The task’s code ended with an error",
    Reason.GAVE_UP: "Every try ended with an error",
    Reason.TIMEOUT: "It took longer than it may",
    Reason.ENVIRONMENT: "Its sandbox could not be made",
    Reason.RESOURCES: "It needed more than it may have",
    Reason.WORKER_LOST: "Its workers were lost, again and again",
    Reason.INPUT_INVALID: "Its input does not fit the task",
    Reason.OUTPUT_INVALID: "Its output does not fit the task",
    Reason.NO_ANSWER: "Nobody answered in time",
    Reason.EXPIRED: "No worker started it in time",
    Reason.DEADLINE: "It took longer than it may altogether",
}
CHIPS = {
    Reason.ERROR: "error in the task’s code",
    Reason.GAVE_UP: "all tries used",
    Reason.TIMEOUT: "timed out",
    Reason.ENVIRONMENT: "no sandbox",
    Reason.RESOURCES: "out of resources",
    Reason.WORKER_LOST: "worker lost",
    Reason.INPUT_INVALID: "bad input",
    Reason.OUTPUT_INVALID: "bad output",
    Reason.NO_ANSWER: "no answer",
    Reason.EXPIRED: "waited too long",
    Reason.DEADLINE: "over its deadline",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do next. `to` is where: edit (run again with this input changed), resume, task, or workers."""

    title: str
    why: str
    to: str = ""
    button: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """What one attempt says in a line of the comparison: whether most say otherwise, and whether this one succeeded."""

    told: str
    is_odd: bool
    is_good: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a comparison; `is_odd` where the two differ."""

    name: str
    good: str
    this: str
    is_odd: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """What happened, and what to do about it."""

    headline: str
    message: str
    chips: tuple[str, ...]
    stack: str
    frames: str
    todo: tuple[Step, ...]


def failure(execution: Execution, *, recorded: int = 0) -> Failure:
    """What the page says of an execution that failed, was rejected or ran out of time, with so many steps recorded."""
    error = read(execution)
    stack = str(error.get("stack") or "")
    reason = execution.reason_code
    chip = CHIPS.get(Reason(reason), "") if reason in list(Reason) else ""
    return Failure(
        headline=HEADLINES.get(Reason(reason), "It failed") if reason in list(Reason) else "It failed",
        message=told(error),
        chips=tuple(said for said in (chip, *_tries(execution, error)) if said),
        stack=stack[-MOST_STACK:],
        frames=_last_frame(stack),
        todo=tuple(_todo(execution, error, recorded=recorded)),
    )


def read(execution: Execution) -> Mapping[str, Any]:
    """The error as it is kept; what gave up tells of the last one."""
    error: Mapping[str, Any] = json.loads(execution.error) if execution.error else {}
    last = error.get("last_error")
    return {**last, "gave_up": error.get("message", "")} if isinstance(last, dict) else error


def told(error: Mapping[str, Any]) -> str:
    """“Type: message”, as the author's language says it."""
    kind, message = str(error.get("type") or ""), str(error.get("message") or "")
    return f"{kind}: {message}" if kind and message else kind or message


def compared(this: Execution, good: Execution, *, worked: tuple[float, float], inputs: tuple[str, str]) -> list[Row]:
    """This run beside the last good one; of the pairs (seconds of work, inputs as JSON) the good one's comes first."""
    rows = [*_inputs(*inputs)]
    odd = [row for row in rows if row.is_odd][:MOST_ROWS]
    same = len(rows) - len(odd)
    if same:
        odd.append(_row(plural(same, "other") if odd else "Input", "same", "same"))
    return [
        *odd,
        _row("Version", str(good.task_version.number), str(this.task_version.number)),
        _row("Work", duration(worked[0]), duration(worked[1])),
        _row("Worker", good.worker or "none", this.worker or "none"),
    ]


def side_by_side(attempts: Sequence[Attempt]) -> list[tuple[str, list[Cell]]]:
    """Attempts compared: a name, and each attempt's value."""
    rows = {
        "Worker": [attempt.worker for attempt in attempts],
        "Claimed": [f"{attempt.claimed_at:%H:%M:%S}" for attempt in attempts],
        "Work": [_worked(attempt) for attempt in attempts],
        "Sandbox": [attempt.driver or attempt.method or "none" for attempt in attempts],
        "Ended": [attempt.outcome.replace("_", " ") or "still running" for attempt in attempts],
        "With": [_ended_with(attempt) for attempt in attempts],
    }
    compare = {"Worker", "Sandbox", "Ended", "With"}
    good = [attempt.outcome == "completed" for attempt in attempts]
    return [
        (
            name,
            [
                Cell(value, is_odd=name in compare and value != max(values, key=values.count), is_good=is_good)
                for value, is_good in zip(values, good, strict=True)
            ],
        )
        for name, values in rows.items()
    ]


def _worked(attempt: Attempt) -> str:
    return duration(attempt.finished_at - attempt.claimed_at) if attempt.finished_at else "until now"


def _ended_with(attempt: Attempt) -> str:
    return first_line(told(json.loads(attempt.error)), most=120) if attempt.error else "–"


def _tries(execution: Execution, error: Mapping[str, Any]) -> Iterator[str]:
    if error.get("retryable"):
        yield "retryable"
    if execution.retries:
        yield f"{plural(execution.retries, 'retry', 'retries')} used"
    if execution.losses:
        yield f"{plural(execution.losses, 'worker')} lost"


def _todo(execution: Execution, error: Mapping[str, Any], *, recorded: int) -> Iterator[Step]:
    """What to do next, the likeliest first."""
    yield from _from_records(recorded, fit=error.get("type") != "StepDiverged")
    version = execution.task_version
    limits = Limits.read(version.limits)
    match execution.reason_code:
        case Reason.INPUT_INVALID:
            yield Step("Run it with other input", "The form says beside each field what it takes.", "edit", "Edit")
        case Reason.TIMEOUT:
            may = round_duration(limits.timeout_seconds)
            yield Step(
                "Give it more time", f"One attempt may take {may}: limits.timeout_seconds.", "task", "See limits"
            )
            yield Step("Or record its parts as steps", "What is recorded is not run again.")
        case Reason.RESOURCES:
            yield Step("Give it more room", "Raise limits.memory, limits.disk or limits.pids.", "task", "See limits")
        case Reason.ENVIRONMENT:
            yield Step("Mend the sandbox", "The worker's probe says what is missing.", "workers", "Workers")
        case Reason.WORKER_LOST:
            yield Step("See what becomes of the workers", "Lost means killed, or unheard of.", "workers", "Workers")
        case Reason.OUTPUT_INVALID:
            yield Step("Mend the task, or its output schema", "The message names the member.", "task", "See task")
        case Reason.GAVE_UP:
            most = RetryPolicy.read(version.retry).max_retries
            yield Step(
                "Run it again when the other side answers", f"It was tried {most + 1} times.", "edit", "Run again"
            )
            yield Step("Or let it try for longer", "Raise retry.max_retries or its intervals.", "task", "See policy")
        case Reason.DEADLINE:
            yield Step("Give it more time", "All of it may take timeouts.execution.", "task", "See task")
        case Reason.EXPIRED:
            yield Step("See who serves its queue", "No worker took it in the time it may wait.", "workers", "Workers")
        case Reason.NO_ANSWER:
            yield Step("Run it again", "Somebody should be there to answer.", "edit", "Run again")
    if execution.reason_code == Reason.ERROR:
        where = " The stack says where." if error.get("stack") else ""
        yield Step("Mend the code", f"Give the task a new version.{where}", "task", "See source")
        yield Step("Or run it with other input", "The form opens with this run's input.", "edit", "Edit")
    if execution.state == State.REJECTED and execution.reason_code != Reason.INPUT_INVALID:
        yield Step("Then run it again", "Nothing of it has run yet.", "edit", "Run again")


def _from_records(recorded: int, *, fit: bool) -> Iterator[Step]:
    if not fit:
        why = "Its records fit another input, or other code."
        yield Step("Run it again from its beginning", why, "edit", "Run again")
    elif recorded:
        told = f"{plural(recorded, 'step')} {'is' if recorded == 1 else 'are'} kept and not run again."
        yield Step("Resume with what was recorded", told, "resume", "Resume")


def _last_frame(stack: str) -> str:
    """Where the author's code was, by the last line of a Python stack that names a place."""
    places = [line.strip() for line in stack.splitlines() if line.strip().startswith("File ")]
    own = [place for place in places if "main." in place] or places
    if not own:
        return ""
    return own[-1].removeprefix("File ").replace('"', "").replace(", line ", ":").partition(",")[0][:100]


def _inputs(good: str, this: str) -> Iterator[Row]:
    """Two inputs by their members; two that are no objects as one."""
    if max(len(good), len(this)) >= MOST_INPUT:
        yield _row("Input", "too long to compare", "too long to compare")
        return
    before, now = json.loads(good), json.loads(this)
    if not (isinstance(before, dict) and isinstance(now, dict)):
        yield Row("Input", shown(before), shown(now), before != now)
        return
    for name in dict.fromkeys([*now, *before]):
        yield Row(name, _member(before, name), _member(now, name), before.get(name, MISSING) != now.get(name, MISSING))


def _row(name: str, good: str, this: str) -> Row:
    return Row(name, good, this, good != this)


def _member(value: Mapping[str, Any], name: str) -> str:
    return shown(value[name]) if name in value else "not given"
