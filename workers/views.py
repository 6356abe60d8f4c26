"""Who does the work: workers with their slots and what runs in them, and queues with what waits in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from executions import queries
from executions.durations import ago, duration
from tasks import queues
from tasks.access import principal_of

if TYPE_CHECKING:
    from executions.models import Execution, Worker
    from tasks.models import Queue

MOST_LIMIT = 1_000_000
MOST_SLOTS = 16  # drawn one by one
NAMED = 4


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for one execution; `word` says what it is without one: free, closed, unknown."""

    execution: Execution | None
    told: str


@dataclass(frozen=True, slots=True)
class Presence:
    """One worker as the page shows it; `why` says what is the matter, where something is."""

    worker: Worker
    s: str
    icon: str
    word: str
    slots: tuple[Slot, ...]
    more: int
    seen: str
    up: str
    why: str


@dataclass(frozen=True, slots=True)
class Line:
    """One queue: what works in it, what may, and what waits; `paused` says by whom and since when, where it is paused."""

    name: str
    limit: int | None
    paused: str
    served_by: str
    working: int
    slots: int
    waiting: int
    oldest: str


@require_safe
@login_required
def workers(request: HttpRequest) -> HttpResponse:
    """The page."""
    now, held, known = timezone.now(), queries.at_work(), queries.workers()
    there = [_presence(worker, [run for run in held if run.worker == worker.name], now) for worker in known]
    lines = list(_lines(known, held, now))
    context = {
        "may_change": _may_change(request),
        "there": there,
        "lines": lines,
        "working": len(held),
        "free": sum(_free(worker, held) for worker in known if _is_ready(worker)),
        "waiting": sum(line.waiting for line in lines),
        "lost": sum(one.word == "lost" for one in there),
        "draining": sum(one.word == "draining" for one in there),
        "unsandboxed": [worker for worker in known if worker.is_living and not worker.sandbox],
    }
    return render(request, "workers/workers.html", context)


@require_POST
@login_required
def queue(request: HttpRequest, name: str, act: str) -> HttpResponse:
    """Pause a queue, let it go on, or say how many of it may be held at once (`limit`; empty lifts it); then the page."""
    principal = principal_of(request.user)
    if principal is None or not principal.may("admin"):
        raise PermissionDenied("Only who may administer changes a queue.")
    if name not in queries.queue_names():
        raise Http404(f"There is no queue “{name}”.")
    if act == "pause":
        queues.pause(name, now=timezone.now(), actor=principal.actor)
    elif act == "resume":
        queues.resume(name)
    else:
        asked = request.POST.get("limit", "").strip()
        if asked and not (asked.isdecimal() and 1 <= int(asked) <= MOST_LIMIT):
            return HttpResponseBadRequest("A limit is a whole number from 1 on, or nothing for none.")
        queues.limit(name, most=int(asked) if asked else None)
    return redirect("workers")


def _may_change(request: HttpRequest) -> bool:
    principal = principal_of(request.user)
    return principal is not None and principal.may("admin")


def _presence(worker: Worker, runs: Sequence[Execution], now: datetime) -> Presence:
    s, icon, word = _standing(worker, runs)
    drawn = [Slot(run, duration(now - (run.started_at or now))) for run in runs[:MOST_SLOTS]]
    rest = min(worker.slots, MOST_SLOTS) - len(drawn)
    empty = {"lost": "unknown", "draining": "closed", "stopped": "closed"}.get(word, "free")
    up = f"up {duration(now - worker.started_at)}" if worker.is_living else f"last at {worker.seen_at:%d %b %H:%M:%S}"
    return Presence(
        worker=worker,
        s=s,
        icon=icon,
        word=word,
        slots=(*drawn, *(Slot(None, empty) for _ in range(rest))),
        more=max(worker.slots, len(runs)) - MOST_SLOTS,
        seen=ago(worker.seen_at, now=now),
        up=up,
        why=_why(worker, word, runs),
    )


def _standing(worker: Worker, runs: Sequence[Execution]) -> tuple[str, str, str]:
    """A worker's colour, glyph and word."""
    if worker.state == "gone":
        return "cancelled", "st-cancelled", "stopped"
    if not worker.is_living:
        return "failed", "st-lost", "lost"
    if worker.state == "draining":
        return "pending", "st-pending", "draining"
    return ("running", "st-running", "working") if runs else ("completed", "st-completed", "ready")


def _why(worker: Worker, word: str, runs: Sequence[Execution]) -> str:
    """What is the matter with it, and what to do."""
    if word == "lost":
        told = f"No heartbeat since {worker.seen_at:%H:%M:%S} UTC."
        held = ", ".join(str(run) for run in runs[:NAMED])
        return f"{told} What it held goes on elsewhere when its lease ends: {held}." if runs else told
    if word == "draining":
        return f"It takes nothing new; {len(runs)} of its runs are still at work." if runs else "It takes nothing new."
    if word != "stopped" and not worker.sandbox:
        return f"No sandbox: {worker.sandbox_problem}" if worker.sandbox_problem else "It has no sandbox."
    return ""


def _lines(known: Iterable[Worker], held: Iterable[Execution], now: datetime) -> Iterator[Line]:
    slots, waiting = queries.slots_by_queue(), queries.waiting_since()
    busy = [run.queue for run in held]
    rows = list(known)
    for queue in queries.queues():
        name = queue.name
        serving = [worker.name for worker in rows if name in worker.queues and _is_ready(worker)]
        waits, since = waiting.get(name, (0, now))
        yield Line(
            name=name,
            limit=queue.limit,
            paused=_paused(queue, now),
            served_by=_served(serving, any(name in worker.queues for worker in rows)),
            working=busy.count(name),
            slots=slots.get(name, 0),
            waiting=waits,
            oldest=duration(now - since) if waits else "",
        )


def _paused(queue: Queue, now: datetime) -> str:
    if queue.paused_at is None:
        return ""
    return f"paused by {queue.paused_by.partition(':')[2] or queue.paused_by}, {ago(queue.paused_at, now=now)}"


def _served(names: Sequence[str], ever: bool) -> str:
    if names:
        return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
    return "its workers are lost, draining or stopped" if ever else "no worker has ever served it"


def _free(worker: Worker, held: Iterable[Execution]) -> int:
    return max(worker.slots - sum(run.worker == worker.name for run in held), 0)


def _is_ready(worker: Worker) -> bool:
    return worker.is_living and worker.state == "ready"
