"""Running again what has ended, from its page: the same, edited, with what was recorded, from a step, or answered anew."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from executions.models import Execution, Question, Step
from executions.states import State
from tasks import manifest
from tests.executions.board.marks import Element, read
from tests.executions.lives import fresh, recorded
from tests.make import make_execution, make_task

pytestmark = pytest.mark.django_db

SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer"}, "name": {"type": "string"}, "loud": {"type": "boolean"}},
}


@pytest.fixture
def mine(client: Client, mira: User) -> Client:
    client.force_login(mira)
    return client


@pytest.fixture
def old() -> Execution:
    execution, _ = recorded(task=make_task(input_schema=SCHEMA), input={"n": 1, "name": "Ann"})
    return execution


def show(client: Client, execution: Execution, query: str = "") -> Element:
    response = client.get(f"/executions/{execution.pk}/again/{query}")
    assert response.status_code == 200
    return read(response.content).one(id="again")


def sent(form: Element) -> dict[str, str]:
    """What a browser sends when nothing is touched."""
    told = {
        found.marks["name"]: found.marks.get("value", "") for found in form.tagged("input") if "name" in found.marks
    }
    told |= {"again.keep": ""} if form.all(id="again-keep") else {}
    for name in [mark.marks["name"] for mark in form.all(type="checkbox") if "checked" not in mark.marks]:
        told.pop(name)
    for select in form.tagged("select"):
        chosen = [option for option in select.tagged("option") if "selected" in option.marks]
        told[select.marks["name"]] = chosen[0].marks.get("value", "") if chosen else ""
    return told


def post(client: Client, execution: Execution, told: dict[str, str]) -> Execution:
    response = client.post(f"/executions/{execution.pk}/retry/", told)
    assert response.status_code == 302, read(response.content).one(id="again").text
    new = Execution.objects.get(pk=response["Location"].split("/")[-2])
    assert (new.lineage, new.rerun_of_id) == (execution.lineage, execution.pk)
    return new


def keys(new: Execution) -> list[str]:
    return list(Step.objects.filter(execution=new).values_list("key", flat=True))


def test_a_retry_is_one_press(mine: Client, old: Execution) -> None:
    new = post(mine, old, {"again.key": "k"})
    assert (new.run, new.input, new.owner and new.owner.username) == (2, old.input, "mira")
    assert post(mine, old, {"again.key": "k"}).pk == new.pk
    assert '"how":"retry"' in new.events.get(seq=1).data


def test_the_form_holds_the_old_input_and_untouched_it_is_a_retry(mine: Client, old: Execution) -> None:
    form = show(mine, old)
    assert form.one(name="n").marks["value"] == "1"
    new = post(mine, old, sent(form))
    assert (new.input, '"how":"retry"' in new.events.get(seq=1).data) == (old.input, True)


def test_an_edited_input_is_run(mine: Client, old: Execution) -> None:
    new = post(mine, old, {**sent(show(mine, old)), "n": "7"})
    assert '"n":7' in new.input
    assert '"how":"rerun"' in new.events.get(seq=1).data
    assert keys(new) == []


def test_a_wrong_input_comes_back_beside_its_field(mine: Client, old: Execution) -> None:
    response = mine.post(f"/executions/{old.pk}/retry/", {**sent(show(mine, old)), "n": "seven"})
    assert response.status_code == 422
    form = read(response.content).one(id="again")
    assert form.one(name="n").marks["aria-invalid"] == "true"
    assert form.one(name="n").marks["value"] == "seven"
    assert Execution.objects.count() == 1


def test_all_that_was_recorded_is_kept_when_that_is_chosen(mine: Client, old: Execution) -> None:
    assert keys(post(mine, old, {**sent(show(mine, old)), "again.keep": "all"})) == ["a", "seen", "b"]
    outcome = read(mine.get(f"/executions/{old.pk}/").content).one(id="outcome")
    (button,) = [form for form in outcome.tagged("form") if form.all(name="again.keep")]
    assert keys(post(mine, old, sent(button) | {"again.keep": "all"})) == ["a", "seen", "b"]


def test_each_step_leads_to_the_form_that_runs_from_it(mine: Client, old: Execution) -> None:
    steps = read(mine.get(f"/executions/{old.pk}/").content).one(id="steps")
    links = {link.marks["aria-label"]: link.marks["href"] for link in steps.tagged("a")}
    assert set(links) == {"Run again from a", "Run again from b"}
    form = read(mine.get(links["Run again from b"]).content).one(id="again")
    assert keys(post(mine, old, sent(form))) == ["a", "seen"]


def test_an_answered_question_can_be_answered_differently(mine: Client, old: Execution) -> None:
    question = old.questions.get()
    Question.objects.update(answered_at=timezone.now() - timedelta(minutes=5))
    answered = read(mine.get(f"/executions/{old.pk}/").content).one(id="answered")
    (link,) = answered.tagged("a")
    form = read(mine.get(link.marks["href"]).content).one(id="again")
    nothing = mine.post(f"/executions/{old.pk}/retry/", {"again.question": str(question.pk)})
    assert nothing.status_code == 422
    assert "Choose one of the options" in read(nothing.content).one(role="alert").text
    new = post(mine, old, {"again.question": form.one(name="again.question").marks["value"], "value": "no"})
    assert new.questions.get().answer == '"no"'


def test_a_version_can_be_chosen_where_there_are_two(mine: Client, old: Execution) -> None:
    assert not show(mine, old).all(id="again-version")
    manifest.add_version(old.task, manifest.document(old.task_version), now=timezone.now(), by="test")
    form = show(mine, old)
    assert form.one(id="again-version")
    assert post(mine, old, sent(form)).task_version.number == 2
    assert post(mine, old, {**sent(form), "again.version": "1", "again.key": "x"}).task_version.number == 1
    wrong = mine.post(f"/executions/{old.pk}/retry/", {**sent(form), "again.version": "9", "again.key": "y"})
    assert wrong.status_code == 422


@pytest.mark.parametrize("keep", ["0:nothing", "x:a", "a", ":"])
def test_a_step_that_is_not_there_is_refused_in_the_form(mine: Client, old: Execution, keep: str) -> None:
    response = mine.post(f"/executions/{old.pk}/retry/", {"again.edited": "1", "again.keep": keep, "n": "1"})
    assert response.status_code == 422
    assert read(response.content).one(id="again").all(role="alert")


def test_what_has_not_ended_is_not_run_again(mine: Client) -> None:
    execution = make_execution()
    for response in (mine.get(f"/executions/{execution.pk}/again/"), mine.post(f"/executions/{execution.pk}/retry/")):
        assert response.status_code == 409
        assert read(response.content).one(id="refused")


def test_a_task_that_is_archived_says_so(mine: Client, old: Execution) -> None:
    manifest.amend(old.task, now=timezone.now(), archived=True)
    response = mine.post(f"/executions/{old.pk}/retry/")
    assert (response.status_code, "archived" in read(response.content).one(id="refused").text) == (409, True)


@pytest.mark.parametrize("question", ["x", "01900000-0000-7000-8000-000000000000"])
def test_an_unknown_question_is_not_found(mine: Client, old: Execution, question: str) -> None:
    assert mine.get(f"/executions/{old.pk}/again/?question={question}").status_code == 404


def test_runs_of_a_lineage_name_each_other(mine: Client, old: Execution) -> None:
    new = post(mine, old, {})
    for execution, told in ((old, "Run 1 of 2"), (new, "Run 2 of 2")):
        hero = read(mine.get(f"/executions/{execution.pk}/").content).one(id="hero")
        assert told in hero.text
        assert {str(old), str(new)} <= set(hero.text.split())


def test_the_board_shows_the_newest_run_alone_but_hides_nothing_that_is_at_work(mine: Client, old: Execution) -> None:
    def shown() -> set[str]:
        board = read(mine.get("/").content)
        counted = sum(int(column.marks["data-count"]) for column in board.all(data_column=None))
        cards = {card.marks["data-execution"] for card in board.all(data_execution=None)}
        assert counted == len(cards)
        return cards

    assert shown() == {str(old.pk)}
    revision = old.revision
    second = post(mine, old, {"again.key": "2"})
    assert shown() == {str(second.pk)}
    assert fresh(old).revision > revision
    third = post(mine, old, {"again.key": "3"})
    assert shown() == {str(second.pk), str(third.pk)}
    mine.post(f"/executions/{second.pk}/cancel/")
    assert shown() == {str(third.pk)}
    assert fresh(second).state == State.CANCELLED
