"""What cannot be read is refused with its place, the same on both databases, and never an error of ours."""

from __future__ import annotations

import json

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import AsyncRequestFactory

from executions.api.executions import Executions
from executions.models import Execution
from tests.api import Answer, Api, api_for
from tests.make import make_execution, make_task

pytestmark = pytest.mark.django_db


def submit(api: Api, raw: bytes, **headers: str) -> Answer:
    return api("POST", "executions/", raw=raw, **headers)


def with_input(raw: bytes) -> bytes:
    return b'{"task": "greet", "input": ' + raw + b"}"


@pytest.mark.parametrize(
    ("raw", "place", "word"),
    [
        (b"{", "", "not JSON"),
        (b"no", "", "line 1, column 1"),
        (b"\xef\xbb\xbf{}", "", "not JSON"),
        (b"\xff\xfe{", "", "UTF-8"),
        (b'{"task": "gr\xe9et"}', "", "UTF-8"),
        (b'{"task": "greet", "task": "greet"}', "", "twice"),
        (with_input(b"[" * 65 + b"]" * 65), "/input", "64 levels"),
        (with_input(b"[" * 100_000 + b"]" * 100_000), "", "64 levels"),
        (with_input(b"NaN"), "", "NaN"),
        (with_input(b"-Infinity"), "", "Infinity"),
        (with_input(b"1e999"), "/input", "not a JSON number"),
        (with_input(b"1" * 5000), "", "digits"),
        (with_input(b'{"a": ["b", "\\u0000"]}'), "/input/a/1", "NUL"),
        (with_input(b'{"\\u0000": 1}'), "/input", "NUL"),
        (with_input(b'{"a": "\\ud800"}'), "/input/a", "surrogate"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_with_its_place(api: Api, raw: bytes, place: str, word: str) -> None:
    make_task("greet")
    answer = submit(api, raw)
    assert (answer.status, answer.body["title"]) == (400, "Bad Request")
    assert answer.places[0].startswith(place)
    assert word in answer.body["errors"][0]["message"]
    assert word in answer.body["detail"]
    assert not Execution.objects.exists()


def test_what_can_be_read_is_kept_as_it_was(api: Api) -> None:
    make_task("greet")
    text = '{"n": 12345678901234567890, "f": 1e22, "t": "\U0001f600\\u2028", "deep": ' + "[" * 61 + "]" * 61 + "}"
    answer = submit(api, with_input(text.encode()))
    assert answer.status == 201
    assert answer.body["input"] == json.loads(text)
    assert api.get(f"executions/{answer.body['id']}/")["input"] == json.loads(text)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 201),
        ("application/json; charset=utf-8", 201),
        ("application/json;charset=UTF-8", 201),
        ('application/json; charset="utf-8"', 201),
        ("application/json; charset=utf-16", 415),
        ("application/json; charset=bz2", 415),
        ("application/json; charset=", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("multipart/form-data", 415),
        ("", 415),
        ("nonsense", 415),
        ("\x00", 415),
        ("é/ü", 415),
    ],
)
def test_only_json_in_utf8_is_read(api: Api, kind: str, status: int) -> None:
    make_task("greet")
    answer = submit(api, b'{"task": "greet"}', Content_Type=kind)
    assert answer.status == status
    if status == 415:
        assert "application/json" in answer.body["detail"]


def test_a_body_past_the_limit_is_too_large(api: Api) -> None:
    make_task("greet")
    fits = with_input(json.dumps("x" * (settings.BODY_LIMIT - 100)).encode())
    assert submit(api, fits).status == 201
    answer = submit(api, with_input(json.dumps("x" * settings.BODY_LIMIT).encode()))
    assert (answer.status, answer.headers["Content-Type"]) == (413, "application/problem+json")


def test_a_body_in_chunks_is_read_though_it_declares_no_length(api: Api) -> None:
    make_task("greet")
    request = AsyncRequestFactory().generic(
        "POST",
        "/api/v1/executions/",
        b'{"task": "greet", "colour": 1}',
        content_type="application/json",
        headers={"Authorization": f"Bearer {api.secret}", "Transfer-Encoding": "chunked"},
    )
    request.META.pop("CONTENT_LENGTH")
    response = Executions.as_view()(request)
    assert b"/colour" in response.content


def test_a_verb_without_a_body_is_a_verb_without_members(api: Api) -> None:
    execution = make_execution()
    assert api("POST", f"executions/{execution.pk}/cancel/").status == 200


def test_a_text_of_a_person_is_told_as_it_was_written(api: Api, mira: User) -> None:
    make_task("greet")
    hostile = "<script>alert(1)</script>{{ 7*7 }}\u202e\u0007\x1b]0;x"
    body = api_for(mira)("POST", "executions/", {"task": "greet", "title": hostile, "labels": [hostile]}).body
    assert (body["title"], body["labels"]) == (hostile, [hostile])
