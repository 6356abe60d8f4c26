"""ask, sleep, run, await_signal: what a running attempt waits for. The process ends, and no slot is held meanwhile.

Guarantee: what is waited for, the state and the event are one transaction, so an answer, a timer, a child or a signal always
finds the wait it belongs to. What came before it was waited for is not lost: a signal that was kept is taken at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NoReturn

from django.db import IntegrityError

from executions.models import Claim, Execution, Question, Signal, Timer, Wait, next_numbers, read_clock
from executions.states import Reason, State, WaitingFor
from executions.transitions.ending import close_attempt
from executions.transitions.moving import Refused, by_claim, held, note, stale, verb
from executions.transitions.submitting import bear, newborn
from tasks.models import Task
from tasks.schema import Invalid, schema_problem
from tasks.sdk.canonical import encode

SUSPENDED = "suspended"
DEEPEST = 20
MOST_CHILDREN = 10_000


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as the author's code put it; `default` counts when the deadline passes."""

    key: str
    prompt: str
    kind: str
    occurrence: int = 0
    options: Sequence[Mapping[str, Any]] = ()
    schema: Mapping[str, Any] | None = None
    recommended: Any = None
    deadline: datetime | None = None
    default: Any = None
    has_default: bool = False


@dataclass(frozen=True, slots=True)
class Child:
    """A child as its parent's code wants it; None leaves the task's own setting. `outlives`: the parent's end leaves it be."""

    task: str
    input: Any = None
    title: str | None = None
    queue: str | None = None
    priority: str | None = None
    outlives: bool = False


@verb
def ask(claim: Claim, *, asked: Asked, now: datetime) -> None:
    """Record a question. One that nobody could answer is refused."""
    if asked.schema is not None and (wrong := schema_problem(asked.schema)):
        message = f"The schema of the question “{asked.key}” {wrong}."
        raise Refused(message, code="bad_question", about=claim.execution_id)
    if asked.kind in ("choice", "choices") and not asked.options:
        message = f"The question “{asked.key}” is to be answered by a choice, and offers none."
        raise Refused(message, code="bad_question", about=claim.execution_id)
    told = {"key": asked.key, "prompt": asked.prompt[:500], "kind": asked.kind, "attempt": claim.attempt}
    waiting = _wait(claim, WaitingFor.ANSWER, kind="asked", now=now, reason=asked.prompt[:500], data=told)
    if waiting is None:
        return
    try:
        question = Question.objects.create(
            execution=waiting,
            key=asked.key,
            occurrence=asked.occurrence,
            attempt=claim.attempt,
            prompt=asked.prompt,
            kind=asked.kind,
            options=[dict(option) for option in asked.options],
            schema=dict(asked.schema) if asked.schema is not None else None,
            recommended=asked.recommended,
            deadline=asked.deadline,
            default=encode(asked.default).decode() if asked.has_default else None,
            asked_at=now,
        )
    except IntegrityError as known:
        _recorded_before(waiting, asked.key, known)
    if question.deadline is not None:
        Timer.objects.create(
            execution=waiting,
            kind=Timer.Kind.QUESTION,
            question=question,
            generation=waiting.token,
            due_at=question.deadline,
        )


@verb
def sleep(
    claim: Claim,
    *,
    key: str,
    occurrence: int,
    now: datetime,
    seconds: float | None = None,
    until: datetime | None = None,
) -> None:
    """Wait for `seconds` from now by the database's clock, or until a moment."""
    due = until if until is not None else read_clock() + timedelta(seconds=seconds or 0.0)
    told = {"key": key, "until": due.isoformat(), "attempt": claim.attempt}
    waiting = _wait(claim, WaitingFor.TIME, kind="slept", now=now, data=told)
    if waiting is not None:
        _due(_new_wait(waiting, claim, key, occurrence, WaitingFor.TIME, now=now, due_at=due))


@verb
def run(
    claim: Claim,
    *,
    key: str,
    occurrence: int,
    input_hash: str,
    children: Sequence[Child],
    gathers: bool,
    fail_fast: bool,
    now: datetime,
) -> None:
    """Start children and wait until all of them have ended. Raises Refused where one of them cannot be started."""
    born = Execution.objects.filter(parent=claim.execution_id)[: MOST_CHILDREN + 1].count()
    if born + len(children) > MOST_CHILDREN:
        message = f"an execution starts at most {MOST_CHILDREN} children, and this one has started {born}"
        raise Refused(message, code="too_many_children", about=claim.execution_id)
    told = {"key": key, "tasks": [child.task for child in children][:100], "children": len(children)}
    waiting = _wait(claim, WaitingFor.CHILDREN, kind="child_started", now=now, data=told)
    if waiting is None:
        return
    _new_wait(waiting, claim, key, occurrence, WaitingFor.CHILDREN, now=now, input_hash=input_hash, gathers=gathers,
              fail_fast=fail_fast)  # fmt: skip
    _give_birth(waiting, children, key=key, occurrence=occurrence, now=now)


@verb
def await_signal(
    claim: Claim, *, key: str, occurrence: int, input_hash: str, name: str, timeout: float | None, now: datetime
) -> Signal | None:
    """Take the oldest signal of this name that was kept, and go on; None where there is none, and it waits for one."""
    if not held(claim).select_for_update().filter(pk=claim.execution_id).exists() and not _is_suspended(claim):
        stale(claim)
    due = None if timeout is None else read_clock() + timedelta(seconds=timeout)
    how = {"input_hash": input_hash, "name": name, "due_at": due}
    call = {"execution": claim.execution_id, "key": key, "occurrence": occurrence, "attempt": claim.attempt}
    if taken := Signal.objects.filter(
        taken_by__in=Wait.objects.filter(**call)
    ).first():  # a commit that nobody heard of
        return taken
    kept = Signal.objects.filter(execution=claim.execution_id, name=name, taken_by=None).order_by("pk").first()
    told = {"key": key, "name": name, "attempt": claim.attempt}
    if kept is None:
        waiting = _wait(claim, WaitingFor.SIGNAL, kind="slept", now=now, data=told)
        if waiting is not None:
            _due(_new_wait(waiting, claim, key, occurrence, WaitingFor.SIGNAL, now=now, **how))
        return None
    going_on = note(held(claim), claim.execution_id, kind="woken", now=now, actor=claim.actor, data=told) or stale(
        claim
    )
    wait = _new_wait(going_on, claim, key, occurrence, WaitingFor.SIGNAL, now=now, **how, finished_at=now,
                     value={"value": kept.value})  # fmt: skip
    kept.taken_by = wait
    kept.save(update_fields=["taken_by"])
    return kept


def _wait(claim: Claim, waiting_for: WaitingFor, *, kind: str, now: datetime, **told: Any) -> Execution | None:
    """Move to waiting and free the slot; None where this very attempt has done so already, unheard."""
    waiting = by_claim(
        claim, State.WAITING, outcome=SUSPENDED, kind=kind, now=now, sources={State.RUNNING}, reason_code=Reason.NONE,
        waiting_for=waiting_for, worker="", incarnation=0, **told,
    )  # fmt: skip
    if waiting is not None:
        close_attempt(claim.execution_id, SUSPENDED, now=now)
    return waiting


def _is_suspended(claim: Claim) -> bool:
    return Wait.objects.filter(execution=claim.execution_id, attempt=claim.attempt, finished_at=None).exists()


def _new_wait(
    execution: Execution, claim: Claim, key: str, occurrence: int, kind: WaitingFor, *, now: datetime, **how: Any
) -> Wait:
    try:
        return Wait.objects.create(
            execution=execution, key=key, occurrence=occurrence, attempt=claim.attempt, kind=kind, started_at=now, **how
        )
    except IntegrityError as known:
        _recorded_before(execution, key, known)


def _recorded_before(execution: Execution, key: str, known: IntegrityError) -> NoReturn:
    """Code that waits again for what it has waited for cannot be helped: saying it once more would change nothing."""
    raise Refused(f"“{key}” is recorded already", code="wait_recorded", about=execution.pk) from known


def _due(wait: Wait) -> None:
    """Let the scheduler end this wait at its moment, where it has one."""
    if wait.due_at is not None:
        execution = wait.execution
        Timer.objects.create(
            execution=execution, kind=Timer.Kind.WAIT, wait=wait, generation=execution.token, due_at=wait.due_at
        )


def _give_birth(parent: Execution, children: Sequence[Child], *, key: str, occurrence: int, now: datetime) -> None:
    """Make the children of one call, inside the parent's transaction. Raises Refused with the reason of the first bad one."""
    if parent.depth >= DEEPEST:
        message = f"children stand at most {DEEPEST} deep: {parent} is a child of a child of …"
        raise Refused(message, code="too_deep", about=parent.pk)
    slugs = {child.task for child in children}
    tasks = {task.slug: task for task in Task.objects.in_library().filter(slug__in=slugs)}
    numbers = next_numbers(len(children))
    born = [
        _born(parent, tasks.get(child.task), child, now=now, number=number, parent_key=key, parent_occurrence=occurrence,
              parent_index=index)
        for index, (child, number) in enumerate(zip(children, numbers, strict=True))
    ]  # fmt: skip
    bear(born, now=now, actor=f"execution:{parent.pk}", parent=str(parent.pk))


def _born(parent: Execution, task: Task | None, child: Child, *, now: datetime, **call: Any) -> Execution:
    if task is None:
        raise Refused(f"there is no task “{child.task}” to run as a child", code="bad_child", about=parent.pk)
    wish = {"queue": child.queue, "priority": child.priority, "title": child.title}
    said = {name: value for name, value in wish.items() if value is not None}
    try:
        return newborn(task, input={} if child.input is None else child.input, now=now, owner=parent.owner, parent=parent,
                       depth=parent.depth + 1, outlives_parent=child.outlives, **call, wish=said)  # fmt: skip
    except Invalid as invalid:
        wrong = "; ".join(f"{problem.pointer} {problem.message}" for problem in invalid.problems[:3])
        message = f"the child “{child.task}” cannot be started: {invalid} {wrong}"
        raise Refused(message, code="bad_child", about=parent.pk) from invalid
