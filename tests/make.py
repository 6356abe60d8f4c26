"""Legal rows, made by the same verbs that everybody uses; a test says only what it is about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.utils import timezone

from executions import transitions
from executions.models import Execution
from executions.retry import Category
from executions.states import Reason, State
from executions.transitions import Asked, Began, Claim
from tasks import manifest, planning, schedules
from tasks.models import Plan, Schedule, Task

WORKER = "w1"
SOURCE = "import runboard\n\n\n@runboard.task\ndef main(**given):\n    return given\n"


def make_task(slug: str = "greet", **document: Any) -> Task:
    """A sandboxed Python task; `document` are members of a task's JSON."""
    given = {"slug": slug, "title": slug.title(), "kind": "script", "runtime": "python", "source": SOURCE, **document}
    if given["kind"] == "action":
        given = {name: value for name, value in given.items() if name not in ("runtime", "source")}
    return manifest.define(given, now=timezone.now(), by="test").task


def make_plan(task: Task | None = None, **changes: Any) -> Plan:
    return planning.plan(task or make_task(), now=timezone.now(), **changes)


def make_schedule(name: str = "nightly", *, task: Task | None = None, **members: Any) -> Schedule:
    """A schedule of each minute, unless told otherwise."""
    found = task or Task.objects.filter(slug="greet").first() or make_task()
    rule = {} if {"cron", "every"} & members.keys() else {"cron": "* * * * *"}
    return schedules.make(name, task=found, **{"now": timezone.now(), "actor": "user:mira", **rule, **members})


def make_execution(task: Task | None = None, *, state: State = State.PENDING, **wish: Any) -> Execution:
    """An execution in `state`, brought there by the door."""
    found = Task.objects.filter(slug="greet").first() if task is None else task
    input = wish.pop("input", {})
    submission = transitions.submit(found or make_task(), input=input, now=timezone.now(), actor="user:mira", **wish)
    execution = submission.execution
    bring(execution, state)
    execution.refresh_from_db()
    return execution


def bring(execution: Execution, state: State) -> Claim | None:
    """Bring a pending execution to `state` by the verbs that lead there; the claim, where one was needed."""
    if state == State.PENDING:
        return None
    if state == State.CANCELLED:
        transitions.cancel(execution.pk, now=timezone.now(), actor="user:mira")
        return None
    claim = claim_for(execution)
    now = timezone.now()
    if state == State.PREPARING:
        return claim
    if state == State.REJECTED:
        transitions.reject(claim, reason_code=Reason.ENVIRONMENT, error=an_error("Rejected"), now=now)
        return claim
    begin(claim)
    if state != State.RUNNING:
        LEADS_TO[state](claim)
    return claim


def terminate(claim: Claim) -> None:
    """A cancel that nobody saw carried out."""
    transitions.cancel(claim.execution_id, now=timezone.now(), actor="user:mira")
    transitions.reclaim(claim.execution_id, token=claim.token, now=timezone.now(), actor="scheduler")


def fail(category: Category, kind: str) -> Callable[[Claim], None]:
    return lambda claim: transitions.fail(claim, category=category, error=an_error(kind), now=timezone.now())


LEADS_TO: dict[State, Callable[[Claim], object]] = {
    State.WAITING: lambda claim: transitions.ask(claim, asked=a_question(), now=timezone.now()),
    State.RESUMING: lambda claim: transitions.release(claim, now=timezone.now()),
    State.CANCELLING: lambda claim: transitions.cancel(claim.execution_id, now=timezone.now(), actor="user:mira"),
    State.COMPLETED: lambda claim: transitions.complete(claim, output={"done": True}, now=timezone.now()),
    State.FAILED: fail(Category.ERROR, "ValueError"),
    State.TIMED_OUT: fail(Category.TIMEOUT, "TimedOut"),
    State.TERMINATED: terminate,
}


def claim_for(execution: Execution, *, worker: str = WORKER) -> Claim:
    """Claim this one: nothing else may be due in its queue."""
    claims = transitions.claim(
        worker, incarnation=1, queues=[execution.queue], offers=[execution.requires], now=timezone.now()
    )
    assert claims, "nothing could be claimed"
    [claim] = claims
    assert claim.execution_id == execution.pk, "something else was due before it"
    return claim


def begin(claim: Claim) -> None:
    now = timezone.now()
    transitions.start(claim, began=Began("s-1", "container", "bwrap", "a test said so", now), now=now)


def a_question(**changes: Any) -> Asked:
    options = ({"value": "yes", "label": "Yes"}, {"value": "no", "label": "No"})
    given: dict[str, Any] = {"key": "ask-1", "prompt": "Go on?", "kind": "choice", "options": options, **changes}
    return Asked(**given)


def an_error(kind: str = "ValueError", **changes: Any) -> Mapping[str, Any]:
    return {"type": kind, "message": "it went wrong", "stack": "", "retryable": False, **changes}
