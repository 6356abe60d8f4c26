"""Two questions that a load balancer asks, answered before hosts, sessions and logins: alive? able to serve?"""

from collections.abc import Callable

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse

PATIENCE = 0.5  # seconds

Answer = Callable[[HttpRequest], HttpResponseBase]


def answer_health(answer: Answer) -> Answer:
    """Middleware: a probe knows this process by its address, which is seldom one of ALLOWED_HOSTS."""
    answers: dict[str, Answer] = {"/healthz": healthz, "/readyz": readyz}

    def answered(request: HttpRequest) -> HttpResponseBase:
        return answers.get(request.path, answer)(request)

    return answered


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
    client = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE)
    try:
        return bool(client.ping())
    except (redis.RedisError, OSError):
        return False
    finally:
        client.close()
