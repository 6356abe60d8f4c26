"""Why is this not moving? The one place that says it: a sentence for people, a word for programs, from the same facts
that the claim goes by. The first predicate that matches wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from uuid import UUID

from django.db.models import Count, Q
from django.utils import timezone

from executions import limits
from executions.limits import Stop
from executions.models import Event, Execution, Question, Wait, Worker
from executions.states import CLAIMABLE, HELD, LIVE, Reason, State, WaitingFor


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
    claimable = [row for row in rows if row.state in CLAIMABLE]
    if claimable and facts is None:
        facts = Facts.read()
    told, stops = Told.read(rows), limits.stops(claimable) if claimable else {}
    found = (
        (row, _queued(row, facts, stops.get(row.pk)) if row.state in CLAIMABLE and facts else _why(row, told))
        for row in rows
    )
    return {row.pk: why for row, why in found if why is not None}


@dataclass(frozen=True, slots=True)
class Told:
    """What some executions wait for, and who paused or ended them: one query a kind, however many there are."""

    prompts: dict[UUID, str]
    waits: dict[UUID, Wait]
    children: dict[tuple[UUID, str, int], tuple[int, int]]  # by call: those that have not ended, and all
    words: dict[UUID, Event]

    @classmethod
    def read(cls, rows: Sequence[Execution]) -> Told:
        waiting = [row for row in rows if row.state == State.WAITING]
        asking = [row.pk for row in waiting if row.waiting_for == WaitingFor.ANSWER]
        parents = [row.pk for row in waiting if row.waiting_for == WaitingFor.CHILDREN]
        others = [row.pk for row in waiting if row.waiting_for != WaitingFor.ANSWER]
        stopped = [row.pk for row in rows if row.state in (State.PAUSED, *STOPPED)]
        return cls(_prompts(asking), _waits(others), _children(parents), _words(stopped))


def _queued(row: Execution, facts: Facts, stop: Stop | None) -> Why | None:
    held_back = _held_back(row, stop)
    return _not_before(row) or held_back or _no_worker(row, facts) or _none_can(row, facts) or _busy(row, facts)


def _why(row: Execution, told: Told) -> Why | None:
    if row.state == State.WAITING:
        return _waiting(row, told)
    if row.state == State.PAUSED:
        by = f"Paused{_by(told.words.get(row.pk))}"
        return Why("paused", f"{by}{'' if by.endswith('.') else '.'} Resume lets it go on.", act=True)
    if row.state == State.CANCELLING:
        return Why("cancelling", f"Stopping: {row.worker} has been told to end it.")
    if row.pausing and row.state in HELD:
        return Why("pausing", "Pauses when its code next records something.")
    if row.state in STOPPED and row.reason_code == Reason.BY_PERSON:
        return Why(row.reason_code, f"{row.state.capitalize()}{_by(told.words.get(row.pk))}")
    ended = ENDED.get((row.state, row.reason_code))
    return Why(row.reason_code, ended) if ended else None


STOPPED = (State.CANCELLED, State.TERMINATED)
ENDED: dict[tuple[str, str], str] = {
    (State.REJECTED, Reason.INPUT_INVALID): "Rejected: its input does not fit the task.",
    (State.TIMED_OUT, Reason.EXPIRED): "No worker started it in the time it may wait in its queue.",
    (State.TIMED_OUT, Reason.DEADLINE): "It took longer than it may altogether.",
    (State.TERMINATED, Reason.NOT_STOPPED): "Nobody saw it stop after it was cancelled, so its record was closed.",
    (State.CANCELLED, Reason.PARENT_ENDED): "Cancelled: what started it needs it no more.",
    (State.CANCELLED, Reason.CONFLICT): "Cancelled: the limit of its task left no room, or made room for a newer one.",
}


def _waiting(row: Execution, told: Told) -> Why:
    wait = told.waits.get(row.pk)
    due = wait.due_at if wait else None
    year = "" if due is None or due.year == timezone.now().year else " %Y"
    until = f" until {due.astimezone(UTC):%d %b{year} %H:%M:%S} UTC" if due else ""
    at = due.isoformat() if due else ""
    match row.waiting_for:
        case WaitingFor.TIME:
            return Why("waiting_for_time", f"Sleeps{until}.", due=at)
        case WaitingFor.SIGNAL:
            name = f" “{wait.name}”" if wait else ""
            return Why("waiting_for_signal", f"Waits for the signal{name}{until}.", due=at)
        case WaitingFor.CHILDREN:
            call = (row.pk, wait.key, wait.occurrence) if wait else (row.pk, "", 0)
            live, all_ = told.children.get(call, (0, 0))
            return Why("waiting_for_children", f"Waits for {live} of {all_} {'child' if all_ == 1 else 'children'}.")
    prompt = told.prompts.get(row.pk, "")
    return Why("waiting_for_answer", f"Waits for an answer: {prompt}" if prompt else "Waits for an answer.", act=True)


def _by(event: Event | None) -> str:
    """“ by mira: until Monday”."""
    if event is None:
        return "."
    kind, colon, name = event.actor.partition(":")
    said = f" by {name if colon else 'Runboard' if kind in ('system', 'scheduler') else kind}"
    return f"{said}: {event.reason}" if event.reason else f"{said}."


def _not_before(row: Execution) -> Why | None:
    if row.available_at is None or row.available_at <= timezone.now():
        return None
    at = row.available_at.isoformat()
    if row.reason_code == Reason.RETRY:
        return Why("retrying", f"Failed and tries again (retry {row.retries}).", due=at)
    if row.reason_code in (Reason.ENVIRONMENT, Reason.RESOURCES):
        return Why(row.reason_code, "Its sandbox failed; it tries again.", due=at)
    return Why("not_before", "Starts later, as asked.", due=at)


def _held_back(row: Execution, stop: Stop | None) -> Why | None:
    """What a pause or a limit says, and what somebody can do about it."""
    if stop is None:
        return None
    task, most = row.task.slug, stop.limit
    match stop.code:
        case "queue_paused":
            by = stop.by.partition(":")[2] or stop.by
            told = f"The queue “{row.queue}” is paused{f' by {by}' if by else ''}; resume it on the workers page."
            return Why(stop.code, told, act=True)
        case "queue_limit":
            return Why(stop.code, f"The queue “{row.queue}” has {most} at work, its limit; it starts when one ends.")
        case "task_limit":
            return Why(stop.code, f"“{task}” has {most} at work, its limit; it starts when one ends.")
        case "key_limit":
            return Why(stop.code, f"“{task}” has {most} at work for “{stop.key}”, its limit; it starts when one ends.")
    rate = f"{most} in {stop.seconds:g} s"
    return Why(
        stop.code, f"“{task}” has begun as often as it may ({rate}).", due=stop.at.isoformat() if stop.at else ""
    )


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


def _waits(ids: Sequence[UUID]) -> dict[UUID, Wait]:
    """What goes on of sleeps, calls of children and waits for signals."""
    if not ids:
        return {}
    rows = Wait.objects.filter(execution__in=ids, finished_at=None).only(
        "execution", "key", "occurrence", "name", "due_at"
    )
    return {wait.execution_id: wait for wait in rows}


def _children(parents: Sequence[UUID]) -> dict[tuple[UUID, str, int], tuple[int, int]]:
    if not parents:
        return {}
    calls = Execution.objects.filter(parent__in=parents).order_by().values("parent", "parent_key", "parent_occurrence")
    counted = calls.annotate(live=Count("pk", filter=Q(state__in=LIVE)), all=Count("pk"))
    return {
        (row["parent"], row["parent_key"], row["parent_occurrence"]): (row["live"], row["all"])
        for row in counted
        if row["parent"]
    }


def _words(ids: Sequence[UUID]) -> dict[UUID, Event]:
    """The event that tells who asked for it and why; a pause or a cancel is asked for before its worker reaches it."""
    if not ids:
        return {}
    found: dict[UUID, Event] = {}
    reached = {"paused": "pause_requested", "cancelled": "cancel_requested"}
    kinds = (*reached, *reached.values(), "unpaused", "terminated")
    for event in Event.objects.filter(execution__in=ids, kind__in=kinds).order_by("execution", "seq"):
        before = found.get(event.execution_id)
        if before is None or before.kind != reached.get(event.kind):
            found[event.execution_id] = event
    return found
