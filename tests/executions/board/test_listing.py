"""The list of executions: filters in the address, pages by key."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from executions.board import listing
from executions.models import Execution
from executions.states import State
from tests.executions.board.marks import read
from tests.make import make_execution, make_task

pytestmark = pytest.mark.django_db


@pytest.fixture
def mine(client: Client, mira: User) -> Client:
    """Mira's browser."""
    client.force_login(mira)
    return client


def listed(client: Client, **query: str) -> list[str]:
    """The numbers on the page, in order."""
    response = client.get("/executions/", query)
    assert response.status_code == 200
    return [
        found.text for found in read(response.content).inside if found.tag == "span" and found.text.startswith("EX-")
    ]


def test_the_newest_stands_first(mine: Client) -> None:
    executions = [make_execution() for _ in range(3)]
    assert listed(mine) == [str(execution) for execution in reversed(executions)]


def test_an_empty_list_says_what_to_do(mine: Client) -> None:
    assert "Nothing has run yet" in mine.get("/executions/").content.decode()
    assert "Nothing matches" in mine.get("/executions/", {"q": "x"}).content.decode()


def test_filters_narrow_by_state_phase_task_and_queue(mine: Client) -> None:
    done = make_execution(state=State.COMPLETED)
    waiting = make_execution(state=State.WAITING)
    other = make_execution(make_task("other", queue="nightly"))
    assert listed(mine, state="waiting") == [str(waiting)]
    assert listed(mine, phase="completed") == [str(done)]
    assert listed(mine, phase="running") == [str(waiting)]
    assert listed(mine, task="other") == [str(other)]
    assert listed(mine, queue="nightly") == [str(other)]
    assert listed(mine, queue="nightly", phase="completed") == []
    for nonsense in ({"phase": "x"}, {"state": "x"}, {"task": "x"}, {"queue": "\0"}):
        assert listed(mine, **nonsense) == []


def test_a_search_finds_number_title_and_id(mine: Client) -> None:
    found = make_execution(title="Rebuild the price index")
    make_execution(title="Another")
    for q in (str(found), str(found.number), f"ex-{found.number}", "price", str(found.pk)):
        assert str(found) in listed(mine, q=q)
    for q in ("\0", "%", "9" * 40, "'"):
        listed(mine, q=q)


def test_every_page_follows_the_one_before(mine: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "A_PAGE", 4)
    executions = [make_execution() for _ in range(10)]
    Execution.objects.update(created_at=executions[0].created_at)  # the id decides between equals
    seen, address = [], "/executions/?queue=default"
    while address:
        page = read(mine.get(address).content)
        seen += [found.text for found in page.inside if found.tag == "span" and found.text.startswith("EX-")]
        links = [found.marks["href"] for found in page.tagged("a") if found.text == "Earlier executions"]
        address = f"/executions/{links[0]}" if links else ""
        assert not address or "queue=default" in address
    assert seen == [str(execution) for execution in reversed(executions)]


def test_a_cursor_that_cannot_be_read_is_no_cursor(mine: Client) -> None:
    execution = make_execution()
    for cursor in ("x", "~", "2026-01-01~x", "2026-01-01T00:00:00~01900000-0000-7000-8000-000000000000", "\0~\0"):
        assert listed(mine, before=cursor) == [str(execution)]


def test_a_page_costs_the_same_however_long_it_is(
    mine: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(5):
        make_execution(state=State.COMPLETED)
    with django_assert_max_num_queries(7):
        listed(mine)


def test_a_filter_that_names_nothing_is_called_by_its_name(mine: Client) -> None:
    make_execution()
    for name in ("phase", "state", "task", "queue"):
        told = read(mine.get("/executions/", {name: "<b>bogus"}).content).one(id="runs").text
        assert f"There is no {name} “<b>bogus”" in told
    known = read(mine.get("/executions/", {"phase": "completed", "queue": "default"}).content).one(id="runs").text
    assert "Nothing matches" in known


def test_the_list_says_when_it_was_read_and_fetches_itself_again(mine: Client) -> None:
    execution = make_execution()
    shown = read(mine.get("/executions/", {"queue": "default", "q": str(execution)}).content).one(id="runs")
    assert shown.marks["hx-get"] == f"/executions/?queue=default&q={execution}"
    assert "As it was at" in shown.text
    assert str(execution) in shown.text
