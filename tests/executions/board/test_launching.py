"""Starting a task from its form, from a plan, or like an earlier run."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from executions.models import Execution
from tasks import planning
from tasks.models import Plan, Task
from tests.executions.board.marks import Element, read
from tests.make import make_execution, make_plan, make_task

pytestmark = pytest.mark.django_db

SCRIPT = {"HX-Request": "true"}
SCHEMA = {
    "type": "object",
    "required": ["csv"],
    "additionalProperties": False,
    "properties": {
        "csv": {"type": "string", "contentMediaType": "text/csv", "title": "CSV", "minLength": 3},
        "most": {"type": "integer", "minimum": 1, "default": 10},
        "strict": {"type": "boolean", "default": True},
    },
}
RUN = "/tasks/summarise-csv/run/"


@pytest.fixture
def mine(client: Client, mira: User) -> Client:
    """Mira's browser."""
    client.force_login(mira)
    make_task("summarise-csv", title="Summarise a CSV", input_schema=SCHEMA)
    return client


def form(client: Client, address: str = RUN, **headers: str) -> Element:
    response = client.get(address, headers=headers or None)
    assert response.status_code == 200
    return read(response.content).one(id="run-form")


def sent(shown: Element, **typed: Any) -> dict[str, Any]:
    """What a browser would send of this form."""
    values = {
        f.marks["name"]: f.marks.get("value", "") for f in shown.tagged("input") if f.marks.get("type") != "checkbox"
    }
    values |= {f.marks["name"]: "true" for f in shown.all(type="checkbox") if "checked" in f.marks}
    values |= {f.marks["name"]: f.text.removeprefix("\n") for f in shown.tagged("textarea")}
    return {name: value for name, value in {**values, **typed}.items() if value is not None}


def only() -> Execution:
    return Execution.objects.get()


def test_the_form_shows_defaults_and_nothing_of_other_things(mine: Client) -> None:
    shown = form(mine)
    assert shown.one(name="csv").tag == "textarea"
    assert shown.one(name="most").marks["value"] == "10"
    assert "checked" in shown.one(name="strict").marks
    assert shown.one(name="csv").marks["aria-required"] == "true"


def test_what_is_typed_starts_the_task(mine: Client, mira: User) -> None:
    response = mine.post(RUN, sent(form(mine), csv="a,b\r\n1,2\r\n", most="", strict=None))
    execution = only()
    assert response.status_code == 302
    assert response["Location"] == f"/#execution-{execution.pk}"
    assert json.loads(execution.input) == {"csv": "a,b\n1,2\n", "strict": False}
    assert execution.owner == mira
    assert execution.events.get(kind="submitted").actor == "user:mira"


def test_a_second_click_is_the_first_one_s(mine: Client) -> None:
    typed = sent(form(mine), csv="a,b")
    first, second = mine.post(RUN, typed), mine.post(RUN, typed)
    assert first["Location"] == second["Location"]
    assert Execution.objects.count() == 1


def test_a_key_that_was_spent_on_something_else_says_so_and_the_next_press_works(mine: Client) -> None:
    typed = sent(form(mine), csv="a,b")
    mine.post(RUN, typed)
    response = mine.post(RUN, {**typed, "csv": "c,d"})
    assert response.status_code == 409
    again = read(response.content).one(id="run-form")
    assert "was used for a different request" in again.one(role="alert").text
    assert mine.post(RUN, sent(again)).status_code == 302
    assert [json.loads(e.input)["csv"] for e in Execution.objects.order_by("number")] == ["a,b", "c,d"]


@pytest.mark.parametrize(
    ("typed", "name", "message"),
    [
        ({"csv": ""}, "csv", "Is required."),
        ({"csv": "ab"}, "csv", "shorter than 3 characters"),
        ({"csv": "a,b", "most": "0"}, "most", "less than the minimum of 1"),
        ({"csv": "a,b", "most": "ten"}, "most", "Must be a whole number; this is “ten”."),
    ],
)
@pytest.mark.parametrize("headers", [{}, SCRIPT])
def test_a_wrong_input_is_told_beside_its_field_and_nothing_starts(
    mine: Client, typed: dict[str, str], name: str, message: str, headers: dict[str, str]
) -> None:
    response = mine.post(RUN, sent(form(mine), **typed), headers=headers or None)
    assert response.status_code == 422
    shown = read(response.content).one(id="run-form")
    field = shown.one(name=name)
    assert field.marks["aria-invalid"] == "true"
    assert message in shown.one(id=field.marks["aria-describedby"].split()[0]).text
    assert "1 field needs you" in shown.text
    typed_again = {f.marks["name"]: f.text.removeprefix("\n") for f in shown.tagged("textarea")}
    assert typed_again["csv"] == typed["csv"]
    assert not Execution.objects.exists()


def test_nul_and_lone_surrogates_are_told_and_never_an_error(mine: Client) -> None:
    response = mine.post(RUN, sent(form(mine), csv="a\0b,c"))
    assert response.status_code == 422
    assert "Holds a NUL character." in response.content.decode()
    draft = {**sent(form(mine), csv="a\0b"), "launch.to": "planning", "launch.key": "a\0b"}
    assert mine.post(RUN, draft).status_code == 422
    assert not Execution.objects.exists()
    assert not Plan.objects.exists()


def test_a_plan_fills_the_form_and_leaves_planning_once_it_runs(mine: Client) -> None:
    task = Task.objects.get(slug="summarise-csv")
    plan = make_plan(task, input={"csv": "draft", "most": 3, "strict": False}, title="Mine")
    shown = form(mine, f"{RUN}?plan={plan.pk}")
    assert shown.one(name="csv").text.strip() == "draft"
    assert shown.one(name="most").marks["value"] == "3"
    assert "checked" not in shown.one(name="strict").marks
    mine.post(RUN, sent(shown))
    plan.refresh_from_db()
    assert (plan.state, only().plan, only().title) == ("launched", plan, "Mine")


def test_a_plan_that_was_launched_before_is_launched_once(mine: Client) -> None:
    plan = make_plan(Task.objects.get(slug="summarise-csv"))
    first, second = form(mine, f"{RUN}?plan={plan.pk}"), form(mine, f"{RUN}?plan={plan.pk}")
    places = {mine.post(RUN, sent(shown, csv="a,b"))["Location"] for shown in (first, second)}
    assert len(places) == 1
    assert Execution.objects.count() == 1


def test_a_plan_that_was_removed_says_so(mine: Client) -> None:
    plan = make_plan(Task.objects.get(slug="summarise-csv"))
    shown = form(mine, f"{RUN}?plan={plan.pk}")
    planning.remove(plan.pk, now=timezone.now())
    response = mine.post(RUN, sent(shown, csv="a,b"))
    assert response.status_code == 409
    assert "This plan was removed" in response.content.decode()
    assert not Execution.objects.exists()


def test_a_draft_is_kept_without_being_complete(mine: Client) -> None:
    mine.post(RUN, sent(form(mine), csv="", **{"launch.to": "planning"}))
    plan = Plan.objects.get()
    assert plan.input == {"most": 10, "strict": True}
    assert plan.planned_by is not None
    mine.post(RUN, sent(form(mine, f"{RUN}?plan={plan.pk}"), csv="a,b", **{"launch.to": "planning"}))
    plan.refresh_from_db()
    assert plan.input["csv"] == "a,b"
    assert not Execution.objects.exists()


def test_it_starts_like_an_earlier_run(mine: Client) -> None:
    task = Task.objects.get(slug="summarise-csv")
    earlier = make_execution(task, input={"csv": "as it was", "most": 2})
    shown = form(mine, f"{RUN}?like={earlier.pk}")
    assert shown.one(name="csv").text.strip() == "as it was"
    assert shown.one(name="most").marks["value"] == "2"
    assert mine.get(f"{RUN}?like=x").status_code == 404
    other = make_execution(make_task("other"))
    assert mine.get(f"{RUN}?like={other.pk}").status_code == 404


def test_in_a_dialog_it_is_the_bare_form_and_its_end_is_told_to_the_page(mine: Client) -> None:
    response = mine.get(RUN, headers=SCRIPT)
    shown = read(response.content)
    assert b"<html" not in response.content
    assert shown.one(id="run-form").marks["hx-post"] == RUN
    done = mine.post(RUN, sent(shown.one(id="run-form"), csv="a,b"), headers=SCRIPT)
    assert done.status_code == 204
    told = json.loads(done["HX-Trigger"])
    assert told["launched"]["id"] == str(only().pk)
    planned = mine.post(RUN, {**sent(form(mine)), "launch.to": "planning"}, headers=SCRIPT)
    assert json.loads(planned["HX-Trigger"]) == {"planned": "summarise-csv"}


def test_a_task_without_a_schema_takes_any_json(mine: Client) -> None:
    make_task("anything")
    address = "/tasks/anything/run/"
    mine.post(address, sent(form(mine, address)))
    assert only().input == "{}"
    response = mine.post(address, sent(form(mine, address), json="[1,"))
    assert response.status_code == 422
    assert "must be JSON" in response.content.decode() or "Must be JSON" in response.content.decode()


def test_what_cannot_run_has_no_form(mine: Client) -> None:
    assert mine.get("/tasks/unknown/run/").status_code == 404
    assert mine.get(f"{RUN}?plan=999999").status_code == 404
    assert mine.get(f"{RUN}?plan=x").status_code == 404
    other = make_plan(make_task("other"))
    assert mine.get(f"{RUN}?plan={other.pk}").status_code == 404


def test_nobody_runs_anything_without_signing_in(client: Client) -> None:
    make_task("summarise-csv", input_schema=SCHEMA)
    assert client.post(RUN, {"csv": "a,b"}).status_code == 302
    assert not Execution.objects.exists()
