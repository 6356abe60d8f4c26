"""Random JSON at every address that reads a body, and random text at every address that reads a query: no answer is an
error of ours, and what is refused says where."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from executions.models import Question
from executions.states import State
from tests.api import Answer, Api
from tests.executions.api.test_doors import ADDRESSES
from tests.make import make_execution, make_plan, make_task

pytestmark = pytest.mark.django_db

RUN = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

NAMES = st.sampled_from(
    [
        "task",
        "plan",
        "input",
        "queue",
        "priority",
        "start_at",
        "ttl",
        "labels",
        "agent",
        "team",
        "environment",
        "title",
        "executions",
        "reason",
        "value",
        "note",
        "slug",
        "kind",
        "runtime",
        "source",
        "handler",
        "input_schema",
        "output_schema",
        "retry",
        "limits",
        "timeouts",
        "security",
        "environment_variables",
        "position",
        "archived",
        "description",
        "name",
        "key",
        "version",
        "resume",
        "from_step",
        "occurrence",
        "question",
        "answer",
    ]
) | st.text(max_size=5)
WORDS = st.sampled_from(
    [
        "greet",
        "default",
        "urgent",
        "script",
        "python",
        "HIGH",
        "yes",
        "2024-01-01T00:00:00Z",
        "9999-12-31T23:59:59-14:00",
        "",
        " ",
        "\u2028",
        "a" * 300,
    ]
) | st.text(max_size=20)
NUMBERS = st.integers() | st.sampled_from([0, -1, 2**31, 2**63, 2**64, 10**4000]) | st.floats(allow_nan=False)
PLAIN = st.none() | st.booleans() | NUMBERS | WORDS
JSON = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
)
BODIES = st.dictionaries(NAMES, JSON, max_size=6) | JSON
RAW = st.binary(max_size=60) | BODIES.map(
    lambda body: json.dumps(body, ensure_ascii=False).encode(errors="surrogatepass")
)

WRITES = [
    ("POST", "tasks/"), ("PATCH", "tasks/greet/"), ("POST", "tasks/greet/versions/"), ("POST", "plans/"),
    ("PATCH", "plans/{plan}/"), ("POST", "executions/"), ("POST", "executions/batch/"),
    ("POST", "executions/{execution}/cancel/"), ("POST", "questions/{question}/answer/"),
]  # fmt: skip
READS = sorted({path for path, view in ADDRESSES if hasattr(view, "get") and path.startswith("/api/v1/")})
PARAMETERS = st.sampled_from(
    [
        "state",
        "phase",
        "task",
        "queue",
        "agent",
        "team",
        "environment",
        "label",
        "q",
        "since",
        "cursor",
        "limit",
        "after",
        "wait",
        "archived",
        "execution",
    ]
)
ASKED = st.sampled_from(
    ["0", "1", "9" * 30, "-1", "nan", "true", "open", "\x00", "%", "Infinity", "bnVsbA", "W251bGxd"]
)


@pytest.fixture
def there() -> dict[str, Any]:
    """One of each, named as the addresses name them."""
    make_task("greet")
    waiting = make_execution(state=State.WAITING)
    return {
        "plan": make_plan(make_task("other")).pk,
        "execution": waiting.pk,
        "question": Question.objects.get(execution=waiting).pk,
    }


def is_civil(answer: Answer) -> bool:
    """Whether it is an answer, or a problem that says what is wrong."""
    if answer.status < 400:
        return True
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.body["status"] == answer.status
    assert answer.body["detail"]
    assert all(place == "" or place.startswith("/") for place in answer.places)
    return answer.status in (400, 404, 409, 413, 415, 422)


@pytest.mark.parametrize(("verb", "path"), WRITES)
@RUN
@given(raw=RAW)
def test_no_body_is_an_error_of_ours(api: Api, there: dict[str, Any], verb: str, path: str, raw: bytes) -> None:
    assert is_civil(api(verb, path.format(**there), raw=raw, Content_Type="application/json"))


@pytest.mark.parametrize("path", READS)
@RUN
@given(name=PARAMETERS, value=ASKED | st.text(max_size=30))
def test_no_query_is_an_error_of_ours(api: Api, path: str, name: str, value: str) -> None:
    if name == "wait" and value.isdigit():
        value = "0"
    assert is_civil(api("GET", f"{path}?{name}={quote(value, errors='surrogatepass')}"))


@RUN
@given(where=st.sampled_from(["executions", "questions", "plans", "tasks"]), pk=st.text(min_size=1, max_size=40))
def test_no_address_is_an_error_of_ours(api: Api, where: str, pk: str) -> None:
    assert is_civil(api("GET", f"{where}/{quote(pk, safe='', errors='surrogatepass')}/"))


@RUN
@given(key=st.text(alphabet=st.characters(max_codepoint=255), max_size=300))
def test_no_idempotency_key_is_an_error_of_ours(api: Api, there: dict[str, Any], key: str) -> None:
    assert is_civil(api("POST", "executions/", {"task": "greet"}, Idempotency_Key=key))
