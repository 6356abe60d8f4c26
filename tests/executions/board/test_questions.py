"""Questions: the inbox, the forms of every kind, and the answers that come back."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from executions import transitions
from executions.models import Question
from executions.states import State
from tests.executions.board.marks import Element, read
from tests.make import a_question, begin, claim_for, make_execution

pytestmark = pytest.mark.django_db

SCHEMA = {
    "type": "object",
    "required": ["shards"],
    "properties": {"shards": {"type": "integer", "minimum": 1}, "force": {"type": "boolean", "default": False}},
}
OPTIONS = ({"value": "now", "label": "Now", "consequence": "Ten minutes."}, {"value": 2, "label": "Later"})


@pytest.fixture
def mine(client: Client, mira: User) -> Client:
    """Mira's browser."""
    client.force_login(mira)
    return client


def question(**asked: Any) -> Question:
    execution = make_execution()
    claim = claim_for(execution)
    begin(claim)
    transitions.ask(claim, asked=a_question(**asked), now=timezone.now())
    return execution.questions.get()


def answer(client: Client, asked: Question, *, back: str = "execution", **data: Any) -> Any:
    return client.post(f"/questions/{asked.pk}/answer/", {"back": back, **data})


def panel(client: Client, asked: Question) -> Element:
    return read(client.get("/questions/").content).one(id=f"question-{asked.pk}")


# The inbox


def test_the_inbox_holds_every_open_question_with_its_form(mine: Client) -> None:
    first, second = question(prompt="First?"), question(prompt="Second?")
    shown = read(mine.get("/questions/").content)
    forms = [found.marks["action"] for found in shown.one(id="open").tagged("form")]
    assert forms == [f"/questions/{asked.pk}/answer/" for asked in (first, second)]
    listed = shown.one(id="inbox-list")
    assert [link.marks["href"] for link in listed.tagged("a")] == [f"#question-{asked.pk}" for asked in (first, second)]
    assert shown.one(id="nothing").marks["hidden"] == ""


def test_an_empty_inbox_says_so(mine: Client) -> None:
    shown = read(mine.get("/questions/").content)
    assert "hidden" not in shown.one(id="nothing").marks


def test_nobody_answers_without_signing_in(client: Client) -> None:
    asked = question()
    assert client.get("/questions/").status_code == 302
    assert answer(client, asked, value="yes").status_code == 302
    asked.refresh_from_db()
    assert asked.state == "open"


def test_an_answer_without_its_token_is_refused(mira: User) -> None:
    careful = Client(enforce_csrf_checks=True)
    careful.force_login(mira)
    assert answer(careful, question(), value="yes").status_code == 403


def test_answering_in_the_inbox_goes_to_the_next_one(mine: Client) -> None:
    first, second = question(prompt="First?"), question(prompt="Second?")
    response = mine.post(f"/questions/{first.pk}/answer/", {"back": "inbox", "value": "yes"}, follow=True)
    assert response.redirect_chain == [("/questions/", 302)]
    shown = read(response.content)
    assert shown.one(id=f"question-{second.pk}")
    assert not shown.all(id=f"question-{first.pk}")
    assert "mira: Yes" in shown.one(id="inbox-list").text


def test_a_question_has_an_address_of_its_own(mine: Client) -> None:
    asked = question(prompt="Go on?")
    assert read(mine.get(f"/questions/{asked.pk}/").content).one(id=f"question-{asked.pk}").tagged("form")
    answer(mine, asked, value="yes", note="Traffic is low.")
    closed = read(mine.get(f"/questions/{asked.pk}/").content).one(id=f"question-{asked.pk}")
    assert not closed.tagged("form")
    for told in ("Answered by mira", "Yes", "Traffic is low."):
        assert told in closed.text
    assert mine.get("/questions/01900000-0000-7000-8000-000000000000/").status_code == 404


# Every kind, as a browser without script sends it


@pytest.mark.parametrize(
    ("asked", "sent", "value"),
    [
        ({"kind": "approve", "options": ()}, {"value": "true"}, True),
        ({"kind": "approve", "options": ()}, {"value": "false", "note": "not on a Friday"}, False),
        ({"options": OPTIONS}, {"value": "now"}, "now"),
        ({"options": OPTIONS}, {"value": "2"}, 2),
        ({"kind": "choices", "options": OPTIONS}, {"value": ["2", "now"]}, [2, "now"]),
        ({"kind": "choices", "options": OPTIONS}, {}, []),
        ({"kind": "text", "options": ()}, {"value": "Boards\r\nthat run"}, "Boards\nthat run"),
    ],
)
def test_an_answer_is_taken_and_the_run_goes_on(
    mine: Client, asked: dict[str, Any], sent: dict[str, Any], value: Any
) -> None:
    found = question(**asked)
    response = answer(mine, found, **sent)
    assert response["Location"] == f"/executions/{found.execution_id}/"
    found.refresh_from_db()
    assert (found.state, found.answered_by) == ("answered", "user:mira")
    assert found.note == sent.get("note", "")
    assert found.execution.events.get(kind="answered")
    assert json.loads(found.answer or "") == value
    found.execution.refresh_from_db()
    assert found.execution.state == State.RESUMING


def test_a_form_is_made_from_its_schema_and_read_back(mine: Client) -> None:
    asked = question(kind="form", options=(), schema=SCHEMA)
    form = panel(mine, asked).tagged("form")[0]
    names = [found.marks["name"] for found in form.tagged("input")]
    shards, force = (next(name for name in names if name.endswith(member)) for member in (".shards", ".force"))
    assert answer(mine, asked, **{shards: "4", force: "true"}).status_code == 302
    asked.refresh_from_db()
    assert json.loads(asked.answer or "") == {"shards": 4, "force": True}


def test_what_follows_what_is_recommended_and_the_deadline_are_shown(mine: Client) -> None:
    asked = question(options=OPTIONS, recommended="now", deadline=timezone.now() + timedelta(minutes=5))
    shown = panel(mine, asked)
    assert "Ten minutes." in shown.text
    assert "recommended" in shown.text
    assert "the run fails, if nobody has answered" in shown.text
    assert [found.marks["value"] for found in shown.all(checked=None)] == ["now"]
    assert not panel(mine, question(options=OPTIONS)).all(checked=None)


# Wrong, late, twice


@pytest.mark.parametrize(
    ("asked", "sent", "message"),
    [
        ({"options": OPTIONS}, {}, "Choose one of the options."),
        ({"options": OPTIONS}, {"value": "never"}, "Must be one of now, 2."),
        ({"kind": "approve", "options": ()}, {"value": "maybe"}, "Choose to approve or to reject."),
        ({"kind": "choices", "options": OPTIONS}, {"value": ["never"]}, "“never” is not one of the options."),
        ({"kind": "text", "options": ()}, {"value": "  "}, "Must be a text."),
    ],
)
@pytest.mark.parametrize("back", ["execution", "inbox"])
def test_a_wrong_answer_is_told_beside_the_question(
    mine: Client, asked: dict[str, Any], sent: dict[str, Any], message: str, back: str
) -> None:
    found = question(**asked)
    response = answer(mine, found, back=back, note="kept", **sent)
    assert response.status_code == 422
    shown = read(response.content).one(id=f"question-{found.pk}")
    assert message in [alert.text for alert in shown.all(role="alert")]
    assert "kept" in shown.text
    found.refresh_from_db()
    assert found.state == "open"


def test_a_wrong_form_has_its_message_beside_the_field_and_keeps_what_was_typed(mine: Client) -> None:
    asked = question(kind="form", options=(), schema=SCHEMA)
    name = next(found.marks["name"] for found in panel(mine, asked).tagged("input") if "shards" in found.marks["name"])
    for typed, message in (("0", "less than the minimum"), ("many", "Must be a whole number; this is “many”.")):
        response = answer(mine, asked, **{name: typed})
        assert response.status_code == 422
        field = read(response.content).one(name=name)
        assert field.marks["aria-invalid"] == "true"
        assert field.marks["value"] == typed
        told = read(response.content).one(id=field.marks["aria-describedby"].split()[0])
        assert message in told.text


def test_what_no_database_keeps_is_told_and_never_an_error(mine: Client) -> None:
    asked = question(kind="text", options=())
    response = answer(mine, asked, value="a\0b", note="c\0d")
    assert response.status_code == 422
    assert "Holds a NUL character." in response.content.decode()
    assert answer(mine, asked, value="ab", note="c\0d").status_code == 302
    asked.refresh_from_db()
    assert asked.note == "c\ufffdd"


@pytest.mark.parametrize("back", ["execution", "inbox"])
def test_the_second_of_two_is_told_who_answered_what(mine: Client, back: str) -> None:
    asked = question()
    transitions.answer(asked.pk, value="no", now=timezone.now(), actor="user:jonas", note="too late today")
    response = answer(mine, asked, back=back, value="yes")
    assert response.status_code == 409
    shown = read(response.content).one(id=f"question-{asked.pk}")
    assert not shown.tagged("form")
    assert "jonas answered this already" in shown.one(role="alert").text
    assert "Answered by jonas" in shown.text
    assert asked.execution.events.filter(kind="answered").count() == 1


def test_what_its_end_withdrew_cannot_be_answered(mine: Client) -> None:
    asked = question()
    transitions.cancel(asked.execution_id, now=timezone.now(), actor="user:jonas")
    response = answer(mine, asked, value="yes")
    assert response.status_code == 409
    assert "its execution has ended" in response.content.decode()


def test_a_file_is_not_asked_for_yet_and_the_page_says_so(mine: Client) -> None:
    asked = question(kind="file", options=())
    shown = panel(mine, asked)
    assert not shown.tagged("form")
    assert "asks for a file" in shown.text
    assert answer(mine, asked, value="x").status_code == 422
