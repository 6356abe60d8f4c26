"""enlist, beat, drain, retire: a worker says that it is there.

A worker has a name and incarnations, lives of that name one after the other. The next one knows that the last is dead
(their name is locked on their machine), so it may take back at once what the last one held.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from executions.models import Execution, Worker
from executions.transitions.owning import reclaim
from tasks.models import Queue


def enlist(
    name: str,
    *,
    host: str,
    pid: int,
    slots: int,
    queues: Sequence[str],
    labels: Mapping[str, str],
    offers: Sequence[str],
    sandbox: str,
    sandbox_problem: str,
    now: datetime,
) -> int:
    """Begin a life: returns its incarnation, after taking back what earlier ones still held."""
    with transaction.atomic():
        for queue in queues:
            Queue.objects.get_or_create(name=queue)
        worker, _ = Worker.objects.select_for_update().get_or_create(
            name=name, defaults={"host": host, "pid": pid, "slots": slots, "started_at": now, "seen_at": now}
        )
        worker.incarnation += 1
        worker.host, worker.pid, worker.slots, worker.state = host, pid, slots, Worker.State.READY
        worker.queues, worker.labels, worker.offers = list(queues), dict(labels), list(offers)
        worker.sandbox, worker.sandbox_problem = sandbox, sandbox_problem[:500]
        worker.started_at = worker.seen_at = now
        worker.save()
    held = Execution.objects.held_by(name).filter(incarnation__lt=worker.incarnation)
    for pk, token in held.values_list("pk", "token"):
        reclaim(pk, token=token, now=now, actor="system")
    return worker.incarnation


def beat(name: str, *, incarnation: int, now: datetime) -> bool:
    """The heartbeat; False where another life of this name has begun."""
    return _mine(name, incarnation).update(seen_at=now) > 0


def serve(name: str, *, incarnation: int, queues: Sequence[str]) -> None:
    """The worker serves these queues from now on."""
    _mine(name, incarnation).update(queues=list(queues))


def drain(name: str, *, incarnation: int, now: datetime) -> None:
    """The worker takes nothing new and lets its runs end."""
    _mine(name, incarnation).update(state=Worker.State.DRAINING, seen_at=now)


def retire(name: str, *, incarnation: int, now: datetime) -> None:
    """The worker has stopped on purpose."""
    _mine(name, incarnation).update(state=Worker.State.GONE, seen_at=now)


def _mine(name: str, incarnation: int) -> QuerySet[Worker]:
    return Worker.objects.filter(name=name, incarnation=incarnation)
