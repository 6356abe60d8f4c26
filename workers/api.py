"""Workers: who there is, what they serve, and how busy they are."""

from __future__ import annotations

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from executions import waiting
from tasks.api.fields import Moment, OneOf, OrNull
from tasks.api.resource import Resource

STATES = ("ready", "draining", "lost", "gone")


class WorkerRow(serializers.Serializer[Any]):
    """A worker; `lost` is one that has not been heard of within a lease."""

    name = serializers.CharField()
    state = OneOf(STATES)
    host = serializers.CharField()
    pid = serializers.IntegerField()
    incarnation = serializers.IntegerField(help_text="How many lives this name has had.")
    slots = serializers.IntegerField()
    busy = serializers.IntegerField(help_text="Slots in use.")
    queues = serializers.ListField(child=serializers.CharField())
    labels = serializers.DictField(child=serializers.CharField())
    offers = serializers.ListField(child=serializers.CharField(), help_text="Runtimes, and actions as action:name.")
    sandbox = OrNull(help_text="The driver that its probe found working.")
    sandbox_problem = OrNull(help_text="Why there is none, and what mends it.")
    started_at = Moment()
    seen_at = Moment()


class Workers(Resource):
    scopes = {"GET": "read"}
    keyset = ("name",)

    @extend_schema(responses=WorkerRow(many=True))
    def get(self, request: Request) -> Response:
        """The workers that ever served, by name."""
        facts = waiting.Facts.read()
        shown = [told(worker, busy=facts.busy) for worker in self.rows(facts.workers)]
        return self.get_paginated_response(WorkerRow(shown, many=True).data)


def told(worker: Any, *, busy: dict[str, int]) -> dict[str, Any]:
    members = ("name", "host", "pid", "incarnation", "slots", "queues", "labels", "offers", "sandbox",
               "sandbox_problem", "started_at", "seen_at")  # fmt: skip
    state = worker.state if worker.is_living or worker.state == "gone" else "lost"
    return {**{name: getattr(worker, name) for name in members}, "state": state, "busy": busy.get(worker.name, 0)}


urlpatterns = [path("workers/", Workers.as_view())]
