"""Two questions that a load balancer asks, answered before hosts, sessions and logins: alive? able to serve?"""

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.utils.decorators import sync_and_async_middleware

PATIENCE = 0.5  # seconds

Answer = Callable[[HttpRequest], HttpResponseBase]


@sync_and_async_middleware
def answer_health(answer: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Middleware: a probe knows this process by its address, which is seldom one of ALLOWED_HOSTS.

    Async where the server is, so that a view that waits (`?wait=30`) is not a thread that waits.
    """
    answers: dict[str, Answer] = {"/healthz": healthz, "/readyz": readyz}

    async def answered_async(request: HttpRequest) -> HttpResponseBase:
        if request.path in answers:
            return await sync_to_async(answers[request.path])(request)
        response: HttpResponseBase = await answer(request)
        return response

    def answered(request: HttpRequest) -> HttpResponseBase:
        if request.path in answers:
            return answers[request.path](request)
        response: HttpResponseBase = answer(request)
        return response

    return answered_async if iscoroutinefunction(answer) else answered


def healthz(request: HttpRequest) -> HttpResponse:
    """This process answers."""
    return HttpResponse("ok\n", content_type="text/plain", headers={"Cache-Control": "no-store"})


def readyz(request: HttpRequest) -> JsonResponse:
    """503 only without the database: without Redis the house still serves and works, just less promptly."""
    database = database_answers()
    state = {"database": said(database), "redis": said(redis_answers())}
    return JsonResponse(state, status=200 if database else 503, headers={"Cache-Control": "no-store"})


def said(answers: bool) -> str:
    return "ok" if answers else "away"


def database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True


def redis_answers() -> bool:
    import redis  # a third of a second, which a start need not wait for

    client = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE)
    try:
        return bool(client.ping())
    except (redis.RedisError, OSError):
        return False
    finally:
        client.close()
