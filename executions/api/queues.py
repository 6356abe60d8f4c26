"""Queues: how much waits in each, and who serves it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from executions.api.serializers import QueueRow
from executions.models import Execution, Worker
from tasks.api.resource import Resource
from tasks.models import Queue


class Queues(Resource):
    scopes = {"GET": "read"}
    keyset = ("name",)

    @extend_schema(responses=QueueRow(many=True))
    def get(self, request: Request) -> Response:
        """The queues, by name."""
        return self.get_paginated_response(QueueRow(with_figures(self.rows(Queue.objects.all())), many=True).data)


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
            "depth": depths.get(queue.name, 0),
            "slots": sum(worker.slots for worker in serving[queue.name]),
            "workers": [worker.name for worker in serving[queue.name]],
        }
        for queue in shown
    ]
