"""pause, resume, limit: what people say about a whole queue. What runs goes on; what waits, waits longer or starts."""

from __future__ import annotations

from datetime import datetime

from tasks.models import Queue


def pause(name: str, *, now: datetime, actor: str) -> Queue:
    """Nothing of this queue is claimed from now on; pausing it twice changes nothing. Raises Queue.DoesNotExist."""
    Queue.objects.filter(name=name, paused_at=None).update(paused_at=now, paused_by=actor)
    return Queue.objects.get(name=name)


def resume(name: str) -> Queue:
    """What waits in this queue starts again as slots are free. Raises Queue.DoesNotExist."""
    Queue.objects.filter(name=name).update(paused_at=None, paused_by="")
    return Queue.objects.get(name=name)


def limit(name: str, *, most: int | None) -> Queue:
    """At most so many of this queue are held at once, by all workers together; None lifts the limit. What is held above a
    lower limit goes on. Raises Queue.DoesNotExist."""
    Queue.objects.filter(name=name).update(limit=most)
    return Queue.objects.get(name=name)
