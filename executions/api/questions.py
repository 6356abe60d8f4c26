"""Questions: what people are asked, and their answers."""

from __future__ import annotations

from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from executions import transitions
from executions.api.executions import whole
from executions.api.serializers import Answer, ExecutionWhole, QuestionRow
from executions.models import Question
from tasks.api.fields import AnyOf, Strict
from tasks.api.resource import Resource, found


class Filters(Strict):
    state = AnyOf(Question.State.values)
    execution = serializers.UUIDField(required=False)


class Questions(Resource):
    scopes = {"GET": "read"}
    keyset = ("-asked_at", "-id")
    filters = Filters

    @extend_schema(parameters=[Filters], responses=QuestionRow(many=True))
    def get(self, request: Request) -> Response:
        """Questions, the newest first."""
        names = {"state": "state__in", "execution": "execution"}
        asked = {names[name]: value for name, value in self.asked().items()}
        return self.page(Question.objects.filter(**asked), QuestionRow)


class OneQuestion(Resource):
    scopes = {"GET": "read"}

    @extend_schema(responses=QuestionRow)
    def get(self, request: Request, pk: UUID) -> Response:
        """A question."""
        return Response(QuestionRow(found(Question.objects.all(), "question", pk=pk)).data)


class AnswerQuestion(Resource):
    scopes = {"POST": "answer"}

    @extend_schema(request=Answer, responses={200: ExecutionWhole})
    def post(self, request: Request, pk: UUID) -> Response:
        """Answer a question, once: its execution goes on as soon as a slot is free."""
        asked = self.sent(Answer)
        found(Question.objects.only("pk"), "question", pk=pk)
        execution = transitions.answer(
            pk, value=asked["value"], note=asked.get("note", ""), now=timezone.now(), actor=self.principal.actor
        )
        return Response(whole(execution.pk))
