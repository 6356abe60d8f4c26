"""What events mean: the state of an execution, folded from its history alone. Pure.

`KINDS` is the whole table: where each kind of event may lead, and whether it may leave an execution where it stands. A history
that breaks it could not have been written by the verbs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from executions.models import EventRow, Execution, standing_of
from executions.states import FINAL, MOVES, State, WaitingFor
from tasks.sdk.canonical import Unfit, decode

S, W = State, WaitingFor
AFTER_THE_END = frozenset({"write_refused", "noted"})
LEAVES_BEHIND = ("output", "error", "input")
READ = (
    "number", "state", "paused_from", "waiting_for", "pausing", "last_seq", "attempt", "retries", "losses",
    "environment_failures", "created_at", "started_at", "finished_at", "task__slug", "task_version__number",
    "task_version__task", "run", "parent",
    "rerun_of", *LEAVES_BEHIND,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rule:
    """Where a kind may lead; `stays` where it may leave an execution as it stands; `waits` what it may begin to wait for."""

    leads_to: frozenset[State] = frozenset()
    stays: bool = False
    waits: frozenset[WaitingFor] = frozenset()


STAYS = Rule(stays=True)
BACK = frozenset({S.RESUMING, S.PAUSED})
SUSPENDED = frozenset({S.WAITING, S.PAUSED})

KINDS: dict[str, Rule] = {
    "submitted": Rule(frozenset({S.PENDING})),
    "claimed": Rule(frozenset({S.PREPARING})),
    "started": Rule(frozenset({S.RUNNING})),
    "asked": Rule(SUSPENDED, waits=frozenset({W.ANSWER})),
    "slept": Rule(SUSPENDED, waits=frozenset({W.TIME, W.SIGNAL})),
    "child_started": Rule(SUSPENDED, waits=frozenset({W.CHILDREN})),
    "answered": Rule(BACK),
    "woken": Rule(BACK, stays=True),
    "child_ended": Rule(BACK, stays=True),
    "signalled": Rule(BACK, stays=True),
    "attempt_failed": Rule(BACK),
    "retry_scheduled": Rule(BACK),
    "lost": Rule(BACK),
    "released": Rule(BACK),
    "resumed": Rule(BACK),
    "pause_requested": Rule(frozenset({S.PREPARING, S.RUNNING})),
    "paused": Rule(frozenset({S.PAUSED}), stays=True),
    "unpaused": Rule(frozenset({S.PENDING, S.RESUMING, S.WAITING, S.PREPARING, S.RUNNING})),
    "cancel_requested": Rule(frozenset({S.CANCELLING})),
    **{str(state): Rule(frozenset({state})) for state in FINAL},
    "step_recorded": STAYS,
    "step_diverged": STAYS,
    "checkpoint": STAYS,
    "progress_reported": STAYS,
    "output_generated": STAYS,
    "moved": STAYS,
    "noted": STAYS,
    "write_refused": STAYS,
}


@dataclass(slots=True)
class Facts:
    """What a history says of its execution: the names are those of the row's columns, digests stand for large texts."""

    standing: str = ""
    attempt: int = 0
    retries: int = 0
    losses: int = 0
    environment_failures: int = 0
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    number: int | None = None
    task: str = ""
    version: int | None = None
    run: int = 1
    parent: str | None = None
    rerun_of: str | None = None
    input: str | None = None
    output: str | None = None
    error: str | None = None
    broken: list[tuple[int, str]] = field(default_factory=list, compare=False)  # seq, what it could not have been


def fold(events: Iterable[EventRow]) -> Facts:
    """The facts of a history, in the order of its events; `broken` names what no verb could have written."""
    facts = Facts()
    for event in events:
        _step(facts, event)
    return facts


def facts_of(row: Execution) -> Facts:
    """The same facts, as the row tells them; its large texts as digests, which the caller has put in their place."""
    return Facts(
        standing=standing_of(row),
        attempt=row.attempt,
        retries=row.retries,
        losses=row.losses,
        environment_failures=row.environment_failures,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        number=row.number,
        task=row.task.slug,
        version=row.task_version.number if row.task_version.task_id == row.task_id else None,
        run=row.run,
        parent=None if row.parent_id is None else str(row.parent_id),
        rerun_of=None if row.rerun_of_id is None else str(row.rerun_of_id),
        input=row.input,
        output=row.output,
        error=row.error,
    )


def differences(told: Facts, row: Facts) -> list[str]:
    """Where the row says something else than its history, one sentence each."""
    pairs = {name: (getattr(told, name), getattr(row, name)) for name in Facts.__slots__ if name != "broken"}
    return [_differs(name, *values) for name, values in pairs.items() if values[0] != values[1]]


def _differs(name: str, told: Any, row: Any) -> str:
    if name in LEAVES_BEHIND:
        return f"the row’s {name} is not the one that its history tells of"
    return f"the row says {name} {_shown(row)}, its history {_shown(told)}"


def _shown(value: Any) -> str:
    return "nothing" if value in (None, "") else f"“{value}”"


def _step(facts: Facts, event: EventRow) -> None:
    before = facts.standing
    for sentence in _unlikely(before, event):
        facts.broken.append((event.seq, sentence))
    try:
        data = decode(event.data.encode())
    except (Unfit, UnicodeEncodeError):
        data = None
    if not isinstance(data, dict):
        facts.broken.append((event.seq, "its data is no JSON object"))
        data = {}
    facts.standing = event.standing
    if (apply := APPLY.get(event.kind)) is not None:
        apply(facts, event, data)
    if event.kind in FINAL:
        facts.finished_at = event.at
    if (budget := data.get("budget")) in ("losses", "environment_failures"):
        # Not every loss counts; where an older event does not say so, one counts once the sandbox had said hello.
        counts = bool(data.get("counts", event.kind != "lost" or _state(before) == S.RUNNING))
        setattr(facts, budget, getattr(facts, budget) + counts)
    for name in LEAVES_BEHIND:
        if f"{name}_digest" in data:
            setattr(facts, name, data[f"{name}_digest"])


def _unlikely(before: str, event: EventRow) -> Iterable[str]:
    """Why an event could not have been written after one that left the execution standing as `before`."""
    rule = KINDS.get(event.kind)
    if rule is None:
        yield f"no verb writes the kind “{event.kind}”"
        return
    if (event.seq == 1) != (event.kind == "submitted"):
        yield "a history begins with submitted, once"
    if _state(before) in FINAL and event.kind not in AFTER_THE_END:
        yield f"nothing but a refused write or a note may follow {before}"
    if before and event.standing == before:
        if not rule.stays:
            yield f"{event.kind} cannot leave it {before}"
        return
    target = _state(event.standing)
    if target not in rule.leads_to and not (_stays_paused(before, event) and S.PAUSED in rule.leads_to):
        yield f"{event.kind} cannot lead to {event.standing or 'nowhere'}"
    elif before and _state(before) != target and not _may_become(before, event.standing):
        yield f"{before} cannot become {event.standing}"
    elif rule.waits and _after("for", event.standing) not in rule.waits:
        yield f"{event.kind} does not begin to wait for “{_after('for', event.standing)}”"


def _may_become(before: str, standing: str) -> bool:
    target, source = _state(standing), _state(before)
    if target == S.PAUSED:  # where it would stand, had it not been paused
        return source == (back := _after("from", standing)) or source in MOVES.get(back, frozenset())
    return source in MOVES.get(target, frozenset())


def _stays_paused(before: str, event: EventRow) -> bool:
    return {_state(before), _state(event.standing)} == {S.PAUSED}


def _state(standing: str) -> Any:
    """The word for its state, which may be no state at all."""
    return standing.partition(" ")[0]


def _after(word: str, standing: str) -> Any:
    words = standing.split()
    return words[words.index(word) + 1] if word in words[:-1] else ""


def _submitted(facts: Facts, event: EventRow, data: dict[str, Any]) -> None:
    facts.created_at, facts.number = event.at, data.get("number")
    facts.task, facts.version = data.get("task", ""), data.get("version")
    facts.run, facts.parent, facts.rerun_of = data.get("run", 1), data.get("parent"), data.get("rerun_of")


def _claimed(facts: Facts, event: EventRow, data: dict[str, Any]) -> None:
    facts.attempt += 1
    facts.started_at = facts.started_at or event.at


def _retried(facts: Facts, event: EventRow, data: dict[str, Any]) -> None:
    facts.retries += 1


def _forgiven(facts: Facts, event: EventRow, data: dict[str, Any]) -> None:
    facts.losses = 0


APPLY: dict[str, Callable[[Facts, EventRow, dict[str, Any]], None]] = {
    "submitted": _submitted,
    "claimed": _claimed,
    "retry_scheduled": _retried,
    "step_recorded": _forgiven,
    "checkpoint": _forgiven,
}
