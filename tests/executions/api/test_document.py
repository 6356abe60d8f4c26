"""The OpenAPI document is complete and valid, and says what really happens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from tests.api import Api
from tests.executions.api.test_doors import OPERATIONS
from tests.make import make_execution

pytestmark = pytest.mark.django_db


@pytest.fixture
def document(api: Api) -> dict[str, Any]:
    answer = api("GET", "/api/schema/", Accept="application/json")
    assert answer.status == 200
    return dict(answer.body)


def test_the_document_is_valid_and_made_without_a_warning(tmp_path: Path) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", tmp_path / "schema.yml")
    assert (tmp_path / "schema.yml").stat().st_size > 10_000


def test_every_operation_is_in_the_document_with_its_scope_and_problems(document: dict[str, Any]) -> None:
    told = [operation for path in document["paths"].values() for operation in path.values()]
    assert len(told) == sum(path != "/api/no/such/place/" for _, path, _ in OPERATIONS)
    for operation in told:
        assert "Scope: `" in operation["description"]
        assert {"401", "403", "404", "422"} <= set(operation["responses"])
        assert list(operation["responses"]["401"]["content"]) == ["application/problem+json"]
        assert operation["security"] == [{"token": []}, {"session": []}]


def test_an_execution_has_the_members_that_the_document_names(api: Api, document: dict[str, Any]) -> None:
    execution = make_execution()
    for path, name in ((f"executions/{execution.pk}/", "Execution"), ("executions/", "ExecutionRow")):
        body = api.get(path)
        told = document["components"]["schemas"][name]["properties"]
        assert set(told) == set(body["results"][0] if "results" in body else body)


@pytest.mark.parametrize("query", ["version=%0d%0aX: y", "version=%00", "lang=%00", "format=json", "format=yaml"])
def test_odd_questions_about_the_document_are_answered(api: Api, query: str) -> None:
    assert api("GET", f"/api/schema/?{query}").status == 200


def test_the_document_is_json_for_whoever_asks_for_json(document: dict[str, Any]) -> None:
    assert json.dumps(document)
    assert document["info"]["title"] == "Runboard"
