"""One execution as a file of JSON lines: everything of it, each event exactly as it is stored and sealed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request

from executions import queries
from executions.api.executions import whole
from executions.api.serializers import AttemptRow, LineRow, QuestionRow, SignalRow, StepRow, WaitRow
from executions.models import Attempt, Event, Execution, Question, Signal, Step, Wait
from tasks.api.fields import Moment
from tasks.api.resource import Resource, found

MEDIA_TYPE = "application/x-ndjson"
AT_ONCE = 500  # rows in one piece of the answer


class SealedRow(serializers.Serializer[Any]):
    """An event column by column; `data` is the text that is stored, for the seal is over that."""

    seq = serializers.IntegerField()
    kind = serializers.CharField()
    at = Moment()
    standing = serializers.CharField()
    actor = serializers.CharField()
    reason = serializers.CharField()
    data = serializers.CharField()  # type: ignore[assignment]
    hash = serializers.CharField()


class JSONLines(BaseRenderer):
    """What the answer is told as; problems are told as problems."""

    media_type, format = MEDIA_TYPE, "ndjson"

    def render(self, data: Any, *_: Any) -> bytes:
        return bytes(JSONRenderer().render(data))


class ExportExecution(Resource):
    scopes = {"GET": "read"}
    renderer_classes = [JSONRenderer, JSONLines]

    @extend_schema(responses={(200, MEDIA_TYPE): OpenApiTypes.STR})
    def get(self, request: Request, pk: UUID) -> StreamingHttpResponse:
        """Everything of an execution as JSON lines: `{"execution": …}`, then one object for each `event`, `attempt`, `step`,
        `question`, `wait`, `signal` and log `line`, and `{"end": …}` with their numbers: a file without it was cut off."""
        execution = found(Execution.objects.only("pk", "number"), "execution", pk=pk)
        response = StreamingHttpResponse(_pieces(pk), content_type=f"{MEDIA_TYPE}; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="{execution}.jsonl"'
        return response


async def _pieces(pk: UUID) -> AsyncIterator[bytes]:
    """Piece by piece, each read on its own: no connection is held while a slow receiver reads."""
    yield _line("execution", await sync_to_async(whole)(pk))
    counted = {}
    for name, (shape, page, place) in PARTS.items():
        after: Any = None
        counted[f"{name}s"] = 0
        while rows := await sync_to_async(page)(pk, after):
            after = getattr(rows[-1], place)
            counted[f"{name}s"] += len(rows)
            yield b"".join(_lines(name, shape, rows))
    yield _line("end", counted)


def _lines(name: str, shape: type[serializers.Serializer[Any]], rows: list[Any]) -> Iterator[bytes]:
    return (_line(name, told) for told in shape(rows, many=True).data)


def _line(name: str, told: Any) -> bytes:
    return bytes(JSONRenderer().render({name: told})) + b"\n"


def _of(everything: QuerySet[Any], place: str) -> Callable[[UUID, Any], list[Any]]:
    """Reads the rows of an execution that come after one, by what orders them."""

    def page(pk: UUID, after: Any) -> list[Any]:
        rows = everything.filter(execution=pk).order_by(place)
        return list((rows if after is None else rows.filter(**{f"{place}__gt": after}))[:AT_ONCE])

    return page


def _log(pk: UUID, after: int | None) -> list[Any]:
    return list(queries.lines(pk, after=after or 0, limit=AT_ONCE))


PARTS: dict[str, tuple[type[serializers.Serializer[Any]], Callable[[UUID, Any], list[Any]], str]] = {
    "event": (SealedRow, _of(Event.objects.all(), "seq"), "seq"),
    "attempt": (AttemptRow, _of(Attempt.objects.all(), "number"), "number"),
    "step": (StepRow, _of(Step.objects.all(), "id"), "id"),
    "question": (QuestionRow, _of(Question.objects.all(), "id"), "id"),
    "wait": (WaitRow, _of(Wait.objects.all(), "id"), "id"),
    "signal": (SignalRow, _of(Signal.objects.select_related("taken_by"), "id"), "id"),
    "line": (LineRow, _log, "n"),
}
