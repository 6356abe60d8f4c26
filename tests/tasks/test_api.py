"""Tasks, their versions and plans through the API."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from tasks.models import Plan, Task, TaskVersion
from tests.api import Api, api_for
from tests.make import make_execution, make_plan, make_task

pytestmark = pytest.mark.django_db

SCRIPT = {"slug": "greet", "kind": "script", "runtime": "python", "source": "print('hi')"}


def test_a_task_is_defined_by_its_document(api: Api) -> None:
    answer = api("POST", "tasks/", {**SCRIPT, "title": "Greet", "labels": ["a"], "limits": {"memory": "64Mi"}})
    assert answer.status == 201
    told = {
        name: answer.body[name] for name in ("slug", "title", "version", "kind", "source", "labels", "limits", "queue")
    }
    assert told == {
        "slug": "greet", "title": "Greet", "version": 1, "kind": "script", "source": "print('hi')", "labels": ["a"],
        "limits": {"memory": "64Mi"}, "queue": "default",
    }  # fmt: skip
    assert "boss" in answer.body["created_by"]
    assert answer.body["archived_at"] is None
    assert api.get("tasks/greet/") == answer.body


def test_what_a_task_is_told_as_would_define_it_again(api: Api) -> None:
    api("POST", "tasks/", {**SCRIPT, "input_schema": {"type": "object"}, "touches": ["x"], "priority": "high"})
    body = api.get("tasks/greet/")
    told = {
        name: value
        for name, value in body.items()
        if name not in ("version", "created_at", "created_by", "archived_at")
    }
    again = api("POST", "tasks/greet/versions/", told)
    assert again.status == 201
    assert {**again.body, "version": 1, "created_at": body["created_at"]} == body


@pytest.mark.parametrize(
    ("changes", "places"),
    [
        ({"slug": ""}, ["/slug"]),
        ({"slug": "Not A Slug"}, ["/slug"]),
        ({"slug": ["greet"]}, ["/slug"]),
        ({"colour": 1}, ["/colour"]),
        ({"kind": "flow"}, ["/kind"]),
        ({"kind": {"x": 1}}, ["/kind"]),
        ({"runtime": "cobol"}, ["/runtime"]),
        ({"source": ""}, ["/source"]),
        ({"source": "x" * (1024 * 1024 + 1)}, ["/source"]),
        ({"input_schema": {"type": "thing"}}, ["/input_schema"]),
        ({"input_schema": {"$ref": "http://169.254.169.254/"}}, ["/input_schema"]),
        ({"input_schema": {"pattern": "("}}, ["/input_schema"]),
        ({"input_schema": 7}, ["/input_schema"]),
        ({"retry": {"max_retries": "many"}}, ["/retry/max_retries"]),
        ({"retry": []}, []),
        ({"limits": {"memory": 10**4000}}, ["/limits/memory"]),
        ({"limits": {"cpu": 10**4000}}, ["/limits/cpu"]),
        ({"security": {"level": "NONE"}}, ["/security/level"]),
        ({"security": {"level": []}}, ["/security/level"]),
        ({"labels": [7]}, ["/labels"]),
        ({"environment_variables": {"a b": "c"}}, ["/environment_variables/a b"]),
        ({"secrets": ["x"]}, ["/secrets"]),
        ({"dependencies": {"python": ["requests"]}}, ["/dependencies"]),
        ({"title": "t" * 201, "agent": 7}, ["/agent", "/title"]),
    ],
)
def test_a_wrong_member_is_refused_with_its_place(api: Api, changes: dict[str, Any], places: list[str]) -> None:
    answer = api("POST", "tasks/", {**SCRIPT, **changes})
    if places:
        assert (answer.status, sorted(answer.places)) == (422, places)
        assert not Task.objects.exists()
    assert answer.status < 500


@pytest.mark.parametrize("body", [[], "x", 7, None, [SCRIPT]])
def test_a_body_that_is_no_object_is_refused(api: Api, body: Any) -> None:
    make_task("greet")
    for path in ("tasks/", "tasks/greet/versions/", "plans/"):
        assert api("POST", path, body).status == 422
    assert api("PATCH", "tasks/greet/", body).status == 422


def test_a_slug_is_taken_once(api: Api) -> None:
    assert api("POST", "tasks/", SCRIPT).status == 201
    answer = api("POST", "tasks/", SCRIPT)
    assert (answer.status, answer.places) == (422, ["/slug"])


def test_versions_are_added_and_kept(api: Api) -> None:
    api("POST", "tasks/", {**SCRIPT, "title": "Greet"})
    execution = make_execution(Task.objects.select_related("latest").get())
    second = api("POST", "tasks/greet/versions/", {**SCRIPT, "source": "print('two')"})
    assert (second.status, second.body["version"], second.body["title"]) == (201, 2, "Greet")
    assert api.get(second.headers["Location"])["source"] == "print('two')"
    assert [row["version"] for row in api.all("tasks/greet/versions/?limit=1")] == [2, 1]
    assert api.get("tasks/greet/versions/1/")["source"] == "print('hi')"
    assert api.get("tasks/greet/")["source"] == "print('two')"
    assert api.get(f"executions/{execution.pk}/")["version"] == 1
    assert api("GET", "tasks/greet/versions/3/").status == 404
    assert api("GET", f"tasks/greet/versions/{10**30}/").status == 404
    assert api("POST", "tasks/greet/versions/", {**SCRIPT, "slug": "other"}).places == ["/slug"]
    assert TaskVersion.objects.count() == 2


def test_an_unknown_task_is_not_found(api: Api) -> None:
    for verb, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "versions/"), ("GET", "versions/1/")):
        assert api(verb, f"tasks/nobody/{path}", {}).status == 404
    assert api("POST", "tasks/nobody/versions/", SCRIPT).status == 404


def test_the_library_is_listed_by_slug_and_without_sources(api: Api) -> None:
    for slug in ("b", "a", "c"):
        make_task(slug)
    rows = api.all("tasks/?limit=2")
    assert [row["slug"] for row in rows] == ["a", "b", "c"]
    assert rows[0]["version"] == 1
    assert not {"source", "input_schema"} & set(rows[0])


def test_a_task_is_renamed_archived_and_brought_back(api: Api) -> None:
    make_task("greet")
    renamed = api("PATCH", "tasks/greet/", {"title": "Hello", "description": "Says hello."})
    assert (renamed.status, renamed.body["title"], renamed.body["description"]) == (200, "Hello", "Says hello.")
    assert renamed.body["version"] == 1
    assert api("DELETE", "tasks/greet/").body["archived_at"]
    assert api.all("tasks/") == []
    assert [row["slug"] for row in api.all("tasks/?archived=true")] == ["greet"]
    assert api("PATCH", "tasks/greet/", {"archived": False}).body["archived_at"] is None
    assert api("POST", "executions/", {"task": "greet"}).status == 201


@pytest.mark.parametrize(
    "body", [{"slug": "other"}, {"title": ""}, {"title": 7}, {"archived": "true"}, {"archived": 1}, {"source": "x"}]
)
def test_only_what_a_task_is_called_can_be_changed(api: Api, body: dict[str, Any]) -> None:
    make_task("greet")
    assert api("PATCH", "tasks/greet/", body).status == 422


# Plans


def test_a_plan_stands_in_planning(api: Api, mira: User) -> None:
    make_task("greet")
    operator = api_for(mira)
    answer = operator("POST", "plans/", {"task": "greet", "input": {"a": 1}, "title": "Mine", "note": "later"})
    assert answer.status == 201
    told = {name: answer.body[name] for name in ("task", "input", "title", "note", "state", "version")}
    assert told == {
        "task": "greet",
        "input": {"a": 1},
        "title": "Mine",
        "note": "later",
        "state": "planned",
        "version": 1,
    }
    assert api.get(f"plans/{answer.body['id']}/") == answer.body
    assert Plan.objects.get().planned_by == mira


def test_plans_are_listed_in_their_order(api: Api) -> None:
    task = make_task("greet")
    first, second, third = (make_plan(task, title=title).pk for title in "abc")
    assert [row["id"] for row in api.all("plans/?limit=1")] == [first, second, third]
    positions = {row["id"]: row["position"] for row in api.all("plans/")}
    assert api("PATCH", f"plans/{third}/", {"position": positions[first] - 1}).status == 200
    assert [row["id"] for row in api.all("plans/")] == [third, first, second]
    assert api("PATCH", f"plans/{third}/", {"position": positions[first]}).status == 200
    assert [row["id"] for row in api.all("plans/")] == [first, third, second]
    assert api("PATCH", f"plans/{first}/", {"position": 1e308}).status == 200
    between = (api.get(f"plans/{third}/")["position"] + api.get(f"plans/{second}/")["position"]) / 2
    made = api("POST", "plans/", {"task": "greet", "position": between}).body["id"]
    assert [row["id"] for row in api.all("plans/")] == [third, made, second, first]


def test_a_plan_is_edited_and_removed(api: Api) -> None:
    plan = make_plan()
    edited = api("PATCH", f"plans/{plan.pk}/", {"title": "New", "input": None})
    assert (edited.status, edited.body["title"], edited.body["input"], edited.body["version"]) == (200, "New", None, 2)
    assert api("PATCH", f"plans/{plan.pk}/", {}).body["version"] == 2
    removed = api("DELETE", f"plans/{plan.pk}/")
    assert (removed.status, removed.body["state"]) == (200, "removed")
    assert api.all("plans/") == []
    assert [row["id"] for row in api.all("plans/?state=removed,launched")] == [plan.pk]
    for verb, body in (("PATCH", {"title": "x"}), ("PATCH", {"position": 1}), ("DELETE", {})):
        again = api(verb, f"plans/{plan.pk}/", body)
        assert (again.status, again.body["code"], again.body["allowed"]) == (409, "removed", [])


@pytest.mark.parametrize(
    ("body", "places"),
    [
        ({}, ["/task"]),
        ({"task": "greet", "state": "launched"}, ["/state"]),
        ({"task": "greet", "position": "first"}, ["/position"]),
        ({"task": "greet", "position": 10**400}, ["/position"]),
        ({"task": "greet", "title": "t" * 201}, ["/title"]),
        ({"task": "greet", "note": 1}, ["/note"]),
    ],
)
def test_a_wrong_plan_is_refused(api: Api, body: dict[str, Any], places: list[str]) -> None:
    make_task("greet")
    answer = api("POST", "plans/", body)
    assert (answer.status, answer.places) == (422, places)
    assert not Plan.objects.exists()


def test_a_plan_of_an_unknown_or_archived_task_is_not_made(api: Api) -> None:
    make_task("greet")
    api("DELETE", "tasks/greet/")
    for slug in ("nobody", "greet"):
        answer = api("POST", "plans/", {"task": slug})
        assert (answer.status, answer.places) == (404, ["/task"])


@pytest.mark.parametrize("pk", ["0", "77", str(2**63), str(2**64), "9" * 30, "9" * 5000, "-1", "x", "%00"])
def test_an_unknown_plan_is_not_found(api: Api, pk: str) -> None:
    for verb in ("GET", "PATCH", "DELETE"):
        assert api(verb, f"plans/{pk}/", {}).status == 404
