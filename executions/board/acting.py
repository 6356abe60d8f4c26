"""What a person asks of an execution under way: cancel, pause, resume, terminate. Each is a form that needs no script."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from executions import transitions
from executions.board.execution import page
from executions.board.people import asking, typed
from executions.board.wording import ASKS, look
from executions.models import Execution
from executions.transitions import Refused

SCOPE = "cancel"  # who may stop it for good may also halt it
VERBS: dict[str, Callable[..., Execution]] = {
    "cancel": transitions.cancel,
    "pause": transitions.pause,
    "terminate": transitions.terminate,
}


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def act(request: HttpRequest, pk: UUID, verb: str) -> HttpResponse:
    """Asks whether it should be so, and does it."""
    found = get_object_or_404(Execution.objects.for_cards(), pk=pk)
    if request.method != "POST":
        return render(request, "executions/act.html", {"execution": found, "look": look(found), "ask": ASKS[verb]})
    reason = typed(request.POST.get("reason", ""), most=500)
    return _done(request, pk, VERBS[verb], reason=reason)


@require_POST
@login_required
def resume(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Lets a paused execution go on."""
    get_object_or_404(Execution.objects.only("pk"), pk=pk)
    return _done(request, pk, transitions.resume)


def _done(request: HttpRequest, pk: UUID, verb: Callable[..., Execution], **said: Any) -> HttpResponse:
    principal = asking(request, scope=SCOPE)
    try:
        verb(pk, now=timezone.now(), actor=principal.actor, **said)
    except Refused as refused:
        return page(request, pk, refused=refused.message, status=409)
    return redirect("execution", pk=pk)
