"""Who comes in: every address of the API, without a token, with one that lacks the scope, and with a browser's session."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from rest_framework.views import APIView

from executions.api.authentication import scope_of
from tasks import access
from tasks.models import Token
from tests.api import Api, api_for
from tests.make import make_execution, make_task

pytestmark = pytest.mark.django_db

VERBS = ("get", "post", "patch", "delete")
FILLED = {
    "<uuid:pk>": "00000000-0000-4000-8000-000000000000",
    "<int:pk>": "1",
    "<int:number>": "1",
    "<slug:slug>": "greet",
    "^": "no/such/place/",
}


def addresses() -> Iterator[tuple[str, type[APIView]]]:
    """Every address under /api/ with what answers there."""
    todo: list[tuple[str, list[URLPattern | URLResolver]]] = [("/", list(get_resolver().url_patterns))]
    while todo:
        at, patterns = todo.pop()
        for pattern in patterns:
            path = at + str(pattern.pattern)
            if isinstance(pattern, URLResolver):
                todo.append((path, list(pattern.url_patterns)))
            elif path.startswith("/api/") and path != "/api/docs/":
                for name, value in FILLED.items():
                    path = path.replace(name, value)
                yield path, pattern.callback.cls  # type: ignore[attr-defined]


ADDRESSES = sorted(addresses(), key=lambda found: found[0])
OPERATIONS = [
    (verb.upper(), path, scope_of(view, verb.upper()))
    for path, view in ADDRESSES
    for verb in VERBS
    if hasattr(view, verb) and path != "/api/schema/"
]


def test_the_walk_finds_the_api() -> None:
    assert len(OPERATIONS) > 25
    assert {scope for _, _, scope in OPERATIONS} <= set(access.SCOPES)


@pytest.mark.parametrize("path", [path for path, _ in ADDRESSES])
def test_nobody_comes_in_without_credentials(path: str) -> None:
    for verb in VERBS:
        answer = Api()(verb.upper(), path, {})
        assert answer.status == 401, (verb, path)
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="runboard"'
        assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(("verb", "path", "scope"), OPERATIONS)
def test_a_token_without_the_scope_is_told_which_is_missing(boss: User, verb: str, path: str, scope: str) -> None:
    others = [each for each in access.SCOPES if each != scope]
    answer = api_for(boss, *others)(verb, path, {})
    assert (answer.status, answer.headers["Content-Type"]) == (403, "application/problem+json")
    assert f"“{scope}”" in answer.body["detail"]


@pytest.mark.parametrize(("verb", "path", "scope"), OPERATIONS)
def test_a_token_with_the_scope_alone_comes_in(boss: User, verb: str, path: str, scope: str) -> None:
    make_task("greet")
    assert api_for(boss, scope)(verb, path, {}).status not in (401, 403)


def test_an_operator_cannot_define_tasks_by_any_token(mira: User) -> None:
    answer = api_for(mira, *access.SCOPES)("POST", "tasks/", {"slug": "x"})
    assert answer.status == 403


@pytest.mark.parametrize(
    "said",
    [
        "", "Bearer", "Bearer ", "Bearer rb_", "Bearer rb_nobody", "Basic Ym9zczpib3Nz", "rb_x", "Bearer \x00", "Bearer é",
        "Bearer " + "r" * 5000,
    ],
)  # fmt: skip
def test_what_is_no_token_is_refused(said: str, boss: User) -> None:
    answer = Api()("GET", "executions/", Authorization=said)
    assert (answer.status, answer.body["status"]) == (401, 401)


def test_a_header_that_is_no_token_is_not_helped_by_a_session(boss: User) -> None:
    client = Client()
    client.force_login(boss)
    assert Api(client=client)("GET", "executions/", Authorization="Bearer rb_nobody").status == 401


def test_a_revoked_or_expired_token_and_an_inactive_user_are_out(boss: User) -> None:
    for change in ({"revoked_at": timezone.now()}, {"expires_at": timezone.now() - timedelta(seconds=1)}):
        api = api_for(boss)
        assert api("GET", "executions/").status == 200
        Token.objects.filter(digest=access.digest(api.secret)).update(**change)
        assert api("GET", "executions/").status == 401
    api = api_for(boss)
    User.objects.update(is_active=False)
    assert api("GET", "executions/").status == 401


def test_a_session_reads_and_writes_only_with_the_csrf_token(mira: User) -> None:
    execution = make_execution()
    client = Client(enforce_csrf_checks=True)
    client.force_login(mira)
    client.cookies["csrftoken"] = "c" * 32
    api = Api(client=client)
    assert api("GET", "executions/").status == 200
    refused = api("POST", f"executions/{execution.pk}/cancel/", {})
    assert (refused.status, "CSRF" in refused.body["detail"]) == (403, True)
    allowed = api("POST", f"executions/{execution.pk}/cancel/", {}, X_CSRFToken="c" * 32)
    assert (allowed.status, allowed.body["state"]) == (200, "cancelled")


def test_the_browser_of_the_api_is_for_people_who_signed_in(mira: User) -> None:
    client = Client()
    assert client.get("/api/docs/").headers["Location"] == "/accounts/login/?next=/api/docs/"
    client.force_login(mira)
    assert client.get("/api/docs/").status_code == 200


def test_a_method_that_is_not_there_is_not_allowed(api: Api) -> None:
    answer = api("DELETE", "executions/")
    assert (answer.status, answer.headers["Content-Type"]) == (405, "application/problem+json")
    assert answer.headers["Allow"] == "GET, HEAD, POST"
    assert api("OPTIONS", "executions/").status == 405
    assert api("HEAD", "executions/").status == 200


def test_only_json_is_told(api: Api) -> None:
    answer = api("GET", "executions/", Accept="text/html")
    assert (answer.status, answer.headers["Content-Type"]) == (406, "application/problem+json")
    assert api("GET", "executions/", Accept="text/html, */*;q=0.8").status == 200


@pytest.mark.parametrize(
    "path", ["/api/", "/api/v1/", "/api/v2/tasks/", "/api/v1/tasks", "/api/v1/%00/", "/api/v1/tasks/Ü/"]
)
def test_an_address_that_is_not_there_is_a_problem_too(api: Api, path: str) -> None:
    for verb in VERBS:
        answer = api(verb.upper(), path, {})
        assert (answer.status, answer.headers["Content-Type"]) == (404, "application/problem+json")
