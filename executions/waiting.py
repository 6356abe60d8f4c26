"""Why is this not moving? The one place that says it: a sentence for people, a word for programs, from the same facts
that the claim goes by. The first predicate that matches wins.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from django.utils import timezone

from executions.models import Execution, Question, Worker
from executions.states import CLAIMABLE, FINAL, Reason, State


@dataclass(frozen=True, slots=True)
class Why:
    """`code` is the word, `sentence` what a person reads, `act` whether somebody must do something, `due` a moment (ISO)
    that the sentence counts down to."""

    code: str
    sentence: str
    act: bool = False
    due: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the house looks like now: its workers, and how many executions each holds."""

    workers: tuple[Worker, ...]
    busy: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls) -> Facts:
        return cls(tuple(Worker.objects.all()), Execution.objects.busy_slots())


def reasons(executions: Iterable[Execution], *, facts: Facts | None = None) -> dict[UUID, Why]:
    """Why each of these is not moving; those that move, or have ended without a word to say, are left out."""
    rows = list(executions)
    if not any(row.state in CLAIMABLE | {State.WAITING} for row in rows):
        return {row.pk: why for row in rows if (why := _moving(row))}
    facts = facts or Facts.read()
    prompts = _prompts(row.pk for row in rows if row.state == State.WAITING)
    found = ((row, _why(row, facts, prompts.get(row.pk, ""))) for row in rows)
    return {row.pk: why for row, why in found if why is not None}


def _why(row: Execution, facts: Facts, prompt: str) -> Why | None:
    if row.state == State.WAITING:
        return Why(
            "waiting_for_answer", f"Waits for an answer: {prompt}" if prompt else "Waits for an answer.", act=True
        )
    if row.state in CLAIMABLE:
        return _not_before(row) or _no_worker(row, facts) or _none_can(row, facts) or _busy(row, facts)
    return _moving(row)


def _moving(row: Execution) -> Why | None:
    if row.state == State.CANCELLING:
        return Why("cancelling", f"Stopping: {row.worker} has been told to end it.")
    if row.state in FINAL and row.reason_code == Reason.INPUT_INVALID:
        return Why(row.reason_code, "Rejected: its input does not fit the task.")
    return None


def _not_before(row: Execution) -> Why | None:
    if row.available_at is None or row.available_at <= timezone.now():
        return None
    at = row.available_at.isoformat()
    if row.reason_code == Reason.RETRY:
        return Why("retrying", f"Failed and tries again (retry {row.retries}).", due=at)
    if row.reason_code in (Reason.ENVIRONMENT, Reason.RESOURCES):
        return Why(row.reason_code, "Its sandbox failed; it tries again.", due=at)
    return Why("not_before", "Starts later, as asked.", due=at)


def _no_worker(row: Execution, facts: Facts) -> Why | None:
    serving = [worker for worker in facts.workers if row.queue in worker.queues]
    if not serving:
        told = f"No worker has ever served the queue “{row.queue}”. Start one: manage.py worker --queues {row.queue}"
        return Why("no_worker", told, act=True)
    if any(worker.is_living and worker.state == Worker.State.READY for worker in serving):
        return None
    if any(worker.is_living for worker in serving):
        return Why("draining", f"The workers of “{row.queue}” are stopping; it starts when one is back.")
    names = ", ".join(worker.name for worker in serving[:3])
    return Why("workers_lost", f"The workers of “{row.queue}” have not been heard of lately ({names}).", act=True)


def _none_can(row: Execution, facts: Facts) -> Why | None:
    if any(row.requires in worker.offers for worker in _ready(row, facts)):
        return None
    needed = row.requires.removeprefix("action:")
    kind = "the action" if row.requires.startswith("action:") else "the runtime"
    return Why("none_can_run", f"No worker of “{row.queue}” has {kind} “{needed}”.", act=True)


def _busy(row: Execution, facts: Facts) -> Why:
    able = [worker for worker in _ready(row, facts) if row.requires in worker.offers]
    slots = sum(worker.slots for worker in able)
    if sum(facts.busy.get(worker.name, 0) for worker in able) >= slots:
        return Why("slots_busy", f"All {slots} slots of “{row.queue}” are busy; it starts when one is free.")
    again = {Reason.ANSWERED: "Answered; goes on", Reason.RECOVERED: "Its worker was lost; goes on"}
    return Why("next", f"{again.get(Reason(row.reason_code), 'Starts')} in a moment.")


def _ready(row: Execution, facts: Facts) -> list[Worker]:
    return [w for w in facts.workers if row.queue in w.queues and w.is_living and w.state == Worker.State.READY]


def _prompts(ids: Iterable[UUID]) -> dict[UUID, str]:
    wanted = list(ids)
    if not wanted:
        return {}
    rows = Question.objects.filter(execution__in=wanted, state=Question.State.OPEN)
    return {pk: prompt[:200] for pk, prompt in rows.values_list("execution", "prompt")}
