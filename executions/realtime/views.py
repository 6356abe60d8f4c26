"""What the sockets say, by plain requests: for pages whose network lets no websocket through."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from executions.realtime import frames
from tasks import access


@never_cache
@require_GET
def board_changes(request: HttpRequest) -> JsonResponse:
    """A frame of what changed on the board since the cursor in `?since=`."""
    if not _may_look(request):
        return _refused()
    since = request.GET.get("since")
    return JsonResponse(frames.replay(since) if since else frames.present())


@never_cache
@require_GET
def execution_changes(request: HttpRequest, pk: UUID) -> JsonResponse:
    """How one execution stands: its revision, its state, and how long its log is."""
    if not _may_look(request):
        return _refused()
    frame = frames.seen(pk)
    return JsonResponse(frame) if frame else JsonResponse({"detail": "There is no such execution."}, status=404)


def _may_look(request: HttpRequest) -> bool:
    principal = access.principal_of(request.user)
    return principal is not None and principal.may("read")


def _refused() -> JsonResponse:
    return JsonResponse({"detail": "Sign in to see what changed."}, status=401)
