"""Pausing, resuming, cancelling and terminating from an execution's page, by forms that need no script."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from executions.models import Execution
from executions.states import State
from tests.executions.board.marks import Element, read
from tests.executions.lives import fresh, paused, running
from tests.make import make_execution

pytestmark = pytest.mark.django_db

OFFERED = {
    State.PENDING: ["pause", "cancel", "terminate"],
    State.RUNNING: ["pause", "cancel", "terminate"],
    State.WAITING: ["pause", "cancel", "terminate"],
    State.CANCELLING: ["terminate"],
    State.COMPLETED: ["retry"],
    State.CANCELLED: ["retry"],
}


@pytest.fixture
def mine(client: Client, mira: User) -> Client:
    client.force_login(mira)
    return client


def acts(client: Client, execution: Execution) -> list[str]:
    """The verbs that the page's buttons send, in their order."""
    shown = read(client.get(f"/executions/{execution.pk}/").content).one(id="acts")
    return [form.marks["action"].split("/")[-2] for form in shown.tagged("form")]


def refusal(client: Client, execution: Execution, verb: str, **sent: str) -> Element:
    response = client.post(f"/executions/{execution.pk}/{verb}/", sent)
    assert response.status_code == 409
    return read(response.content).one(id="refused")


@pytest.mark.parametrize("state", list(OFFERED))
def test_a_page_offers_what_is_allowed(mine: Client, state: State) -> None:
    assert acts(mine, make_execution(state=state)) == OFFERED[state]


def test_what_is_paused_or_pausing_offers_to_go_on(mine: Client) -> None:
    assert acts(mine, paused()) == ["resume", "cancel", "terminate"]
    execution, _ = running()
    mine.post(f"/executions/{execution.pk}/pause/")
    assert fresh(execution).pausing
    assert acts(mine, execution)[0] == "resume"


@pytest.mark.parametrize("verb", ["pause", "cancel", "terminate"])
def test_each_asks_first_on_a_page_of_its_own(mine: Client, verb: str) -> None:
    execution = make_execution()
    shown = read(mine.get(f"/executions/{execution.pk}/{verb}/").content)
    form = shown.one(id=f"ask-{verb}")
    assert form.marks["action"] == f"/executions/{execution.pk}/{verb}/"
    assert ("required" in form.one(name="reason").marks) == (verb == "terminate")
    assert fresh(execution).state == State.PENDING


def test_a_pause_says_by_whom_and_why_and_ends_with_resume(mine: Client) -> None:
    execution = make_execution()
    response = mine.post(f"/executions/{execution.pk}/pause/", {"reason": "until Monday"})
    assert response["Location"] == f"/executions/{execution.pk}/"
    shown = read(mine.get(response["Location"]).content)
    assert shown.one(data_reason="paused").text == "Paused by mira: until Monday. Resume lets it go on."
    mine.post(f"/executions/{execution.pk}/resume/")
    assert fresh(execution).state == State.PENDING


def test_a_record_is_closed_with_a_reason_alone(mine: Client) -> None:
    execution = make_execution(state=State.CANCELLING)
    assert "Say why" in refusal(mine, execution, "terminate", reason=" ").text
    mine.post(f"/executions/{execution.pk}/terminate/", {"reason": "it hangs"})
    assert fresh(execution).state == State.TERMINATED
    assert "it hangs" in read(mine.get(f"/executions/{execution.pk}/").content).one(data_reason=None).text


@pytest.mark.parametrize("verb", ["pause", "resume", "cancel", "terminate"])
def test_what_has_ended_refuses_and_says_why(mine: Client, verb: str) -> None:
    assert "final" in refusal(mine, make_execution(state=State.COMPLETED), verb, reason="x").text


def test_what_is_not_paused_cannot_go_on(mine: Client) -> None:
    assert "It can: cancel, pause" in refusal(mine, make_execution(), "resume").text


@pytest.mark.parametrize("verb", ["pause", "resume", "terminate", "retry"])
def test_each_needs_its_token_and_somebody_who_may(mira: User, verb: str) -> None:
    execution = make_execution()
    careful = Client(enforce_csrf_checks=True)
    careful.force_login(mira)
    assert careful.post(f"/executions/{execution.pk}/{verb}/").status_code == 403
    assert Client().post(f"/executions/{execution.pk}/{verb}/").status_code == 302
    nobody = "01900000-0000-7000-8000-000000000000"
    careful = Client()
    careful.force_login(mira)
    assert careful.post(f"/executions/{nobody}/{verb}/").status_code == 404


def test_a_resume_is_never_asked_by_looking(mine: Client) -> None:
    assert mine.get(f"/executions/{paused().pk}/resume/").status_code == 405
