"""What may be asked of one execution: cancel, pause, resume, terminate, retry, signal.

Who may stop an execution for good may also halt it and let it go on, so these four share the scope `cancel`. A retry makes an
execution and needs what a submission needs. A signal is what its code waits for from outside, as an answer is, so whoever may
answer may send one.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from executions import transitions
from executions.api.executions import IDEMPOTENCY_KEY, idempotency_key, whole
from executions.api.serializers import ExecutionWhole, Retry, SendSignal, Terminate, WhyAsked
from executions.models import Execution
from executions.transitions import Again
from tasks.api.fields import Strict
from tasks.api.resource import Resource, found


class Verb(Resource):
    """One verb of one execution."""

    def asked_of(self, pk: UUID, shape: type[Strict]) -> dict[str, Any]:
        """The body, of an execution that there is; 422 or 404 else."""
        body = self.sent(shape)
        found(Execution.objects.only("pk"), "execution", pk=pk)
        return body

    @property
    def by(self) -> dict[str, Any]:
        """When, and who asks."""
        return {"now": timezone.now(), "actor": self.principal.actor}


class CancelExecution(Verb):
    scopes = {"POST": "cancel"}

    @extend_schema(request=WhyAsked, responses={200: ExecutionWhole})
    def post(self, request: Request, pk: UUID) -> Response:
        """Stop an execution: at once where no worker holds it, else as soon as it is seen to have stopped."""
        reason = self.asked_of(pk, WhyAsked).get("reason", "")
        transitions.cancel(pk, reason=reason, **self.by)
        return Response(whole(pk))


class PauseExecution(Verb):
    scopes = {"POST": "cancel"}

    @extend_schema(request=WhyAsked, responses={200: ExecutionWhole})
    def post(self, request: Request, pk: UUID) -> Response:
        """Freeze an execution: at once where no worker holds it, else when its code next records something (`pausing`)."""
        reason = self.asked_of(pk, WhyAsked).get("reason", "")
        transitions.pause(pk, reason=reason, **self.by)
        return Response(whole(pk))


class ResumeExecution(Verb):
    scopes = {"POST": "cancel"}

    @extend_schema(request=Strict, responses={200: ExecutionWhole})
    def post(self, request: Request, pk: UUID) -> Response:
        """Let a paused execution go on where it stood."""
        self.asked_of(pk, Strict)
        transitions.resume(pk, **self.by)
        return Response(whole(pk))


class TerminateExecution(Verb):
    scopes = {"POST": "cancel"}

    @extend_schema(request=Terminate, responses={200: ExecutionWhole})
    def post(self, request: Request, pk: UUID) -> Response:
        """Close the record now, whatever its worker does. Prefer a cancel, which sees it end."""
        reason = self.asked_of(pk, Terminate)["reason"]
        transitions.terminate(pk, reason=reason, **self.by)
        return Response(whole(pk))


class RetryExecution(Verb):
    scopes = {"POST": "submit"}

    @extend_schema(request=Retry, parameters=[IDEMPOTENCY_KEY], responses={201: ExecutionWhole})
    def post(self, request: Request, pk: UUID) -> Response:
        """Run again what has ended: a new execution of the same lineage, with the next run number."""
        again, key = Again(**self.asked_of(pk, Retry)), idempotency_key(request)
        new = transitions.rerun(pk, again=again, owner=self.principal.user, idempotency_key=key, **self.by)
        address = request.build_absolute_uri(f"/api/v1/executions/{new.pk}/")
        return Response(whole(new.pk), status=201, headers={"Location": address})


class SignalExecution(Verb):
    scopes = {"POST": "answer"}

    @extend_schema(request=SendSignal, responses={200: ExecutionWhole})
    def post(self, request: Request, pk: UUID) -> Response:
        """Send a signal: it ends the wait for it, or is kept until the execution's code waits."""
        sent = self.asked_of(pk, SendSignal)
        transitions.signal(pk, name=sent["name"], value=sent.get("value"), key=sent.get("key"), **self.by)
        return Response(whole(pk))
