"""Queues: how much waits in each, who serves it, and how much of it may be at work; paused, limited and let go on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from executions.api.serializers import QueueLimit, QueueRow
from executions.models import Execution, Worker
from tasks import queues
from tasks.api.resource import Resource, found
from tasks.models import Queue


class Queues(Resource):
    scopes = {"GET": "read"}
    keyset = ("name",)

    @extend_schema(responses=QueueRow(many=True))
    def get(self, request: Request) -> Response:
        """The queues, by name."""
        return self.get_paginated_response(QueueRow(with_figures(self.rows(Queue.objects.all())), many=True).data)


class OneQueue(Resource):
    scopes = {"GET": "read", "PATCH": "admin"}

    @extend_schema(responses=QueueRow)
    def get(self, request: Request, slug: str) -> Response:
        """A queue by its name."""
        return told(one(slug))

    @extend_schema(request=QueueLimit, responses={200: QueueRow})
    def patch(self, request: Request, slug: str) -> Response:
        """Say how many of it may be held at once, by all workers together; null lifts the limit."""
        return told(queues.limit(one(slug).name, most=self.sent(QueueLimit)["limit"]))


class PauseQueue(Resource):
    scopes = {"POST": "admin"}

    @extend_schema(request=None, responses={200: QueueRow})
    def post(self, request: Request, slug: str) -> Response:
        """Start nothing more of this queue; what runs goes on."""
        return told(queues.pause(one(slug).name, now=timezone.now(), actor=self.principal.actor))


class ResumeQueue(Resource):
    scopes = {"POST": "admin"}

    @extend_schema(request=None, responses={200: QueueRow})
    def post(self, request: Request, slug: str) -> Response:
        """Let what waits in this queue start again."""
        return told(queues.resume(one(slug).name))


def one(name: str) -> Queue:
    return found(Queue.objects.all(), "queue", name=name)


def told(queue: Queue) -> Response:
    return Response(QueueRow(with_figures([queue])[0]).data)


def with_figures(queues: Iterable[Queue]) -> list[dict[str, Any]]:
    """Queues with what waits in them and who serves them, in two queries for all."""
    shown = list(queues)
    depths = Execution.objects.waiting_in([queue.name for queue in shown])
    ready = [worker for worker in Worker.objects.living() if worker.state == Worker.State.READY]
    serving = {queue.name: [worker for worker in ready if queue.name in worker.queues] for queue in shown}
    return [
        {
            "name": queue.name,
            "description": queue.description,
            "limit": queue.limit,
            "paused_at": queue.paused_at,
            "paused_by": queue.paused_by or None,
            "depth": depths.get(queue.name, 0),
            "slots": sum(worker.slots for worker in serving[queue.name]),
            "workers": [worker.name for worker in serving[queue.name]],
        }
        for queue in shown
    ]
