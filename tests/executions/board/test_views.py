"""The board's page and its drops, as a browser with and without script sends them."""

from __future__ import annotations

import gzip
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from executions.models import Execution
from executions.states import State
from tasks import planning
from tasks.models import Plan
from tests.executions.board.marks import Element, read
from tests.make import begin, claim_for, make_execution, make_plan, make_task

pytestmark = pytest.mark.django_db

SCRIPT = {"HX-Request": "true"}
NEEDS_CSV = {"type": "object", "properties": {"csv": {"type": "string"}}, "required": ["csv"]}
MOST_QUERIES = 20


@pytest.fixture
def mine(client: Client, mira: User) -> Client:
    """Mira's browser."""
    client.force_login(mira)
    return client


def board(client: Client, **query: str) -> Element:
    response = client.get("/", query)
    assert response.status_code == 200
    return read(response.content)


def drop(client: Client, card: str, to: str, *, script: bool = True, **said: Any) -> Any:
    return client.post("/board/move/", {"card": card, "to": to, **said}, headers=SCRIPT if script else None)


def press(client: Client, page: Element, label: str) -> Any:
    """Press a button of the page without script: its form's fields go to its own address."""
    button = next(found for found in page.tagged("button") if found.marks.get("aria-label") == label)
    form = page.one(id=button.marks["form"])
    assert form.marks["method"] == "post"
    fields = {found.marks["name"]: found.marks["value"] for found in form.tagged("input")}
    return client.post(button.marks["formaction"], fields, follow=True)


def said(response: Any) -> str:
    return read(response.content).one(id="toasts").text


# The page


def test_nobody_sees_the_board_without_signing_in(client: Client, db: None) -> None:
    response: Any = client.get("/")
    assert response.status_code == 302
    assert urlsplit(response["Location"]).path == "/accounts/login/"
    assert parse_qs(urlsplit(response["Location"]).query) == {"next": ["/"]}


def test_the_five_columns_hold_their_cards_and_count_them(mine: Client) -> None:
    task = make_task()
    plan = make_plan(task)
    ended = {state: make_execution(task, state=state) for state in (State.COMPLETED, State.FAILED, State.CANCELLED)}
    running, pending = make_execution(task, state=State.RUNNING), make_execution(task)
    page = board(mine)
    stands = {
        column.marks["data-column"]: (
            column.marks["data-count"],
            [card.marks["id"] for card in column.all(tabindex="0")],
        )
        for column in page.all(data_column=None)
    }
    assert stands == {
        "planning": ("1", [f"plan-{plan.pk}"]),
        "pending": ("1", [f"execution-{pending.pk}"]),
        "running": ("1", [f"execution-{running.pk}"]),
        "completed": ("1", [f"execution-{ended[State.COMPLETED].pk}"]),
        "failed": ("1", [f"execution-{ended[State.FAILED].pk}"]),
    }
    assert page.one(data_stopped=None).text.split() == ["Stopped", "1"]
    assert page.one(id="announcer").marks["aria-live"]


def test_the_library_stands_before_the_board(mine: Client) -> None:
    make_task()
    ids = [found.marks.get("id") for found in board(mine).inside]
    assert ids.index("library-greet") < ids.index("board")


def test_plans_stand_in_their_order(mine: Client) -> None:
    task = make_task()
    first, second, third = (make_plan(task) for _ in range(3))
    planning.place(third.pk, before=first, now=timezone.now())
    column = board(mine).one(data_column="planning")
    assert [card.marks["id"] for card in column.all(tabindex="0")] == [f"plan-{p.pk}" for p in (third, first, second)]


def test_an_archived_task_cannot_be_run_from_the_library(mine: Client) -> None:
    task = make_task()
    task.archived_at = timezone.now()
    task.save()
    assert board(mine).all(id="library-greet") == []
    assert drop(mine, "library-greet", "pending").status_code == 404


def test_an_empty_board_says_what_its_columns_are_for(mine: Client) -> None:
    page = board(mine)
    assert all("empty" in column.tagged("p")[0].marks["class"] for column in page.all(data_column=None))
    assert "No tasks yet" in page.one(id="drawer").text


def test_open_questions_are_counted_in_the_title_and_the_rail(mine: Client) -> None:
    make_execution(state=State.WAITING)
    page = board(mine)
    assert page.tagged("title")[0].text.startswith("(1) Board")
    assert {found.text for found in page.all(data_questions=None)} == {"1"}


def test_a_column_shows_a_page_of_cards_and_the_way_to_the_next(mine: Client) -> None:
    task = make_task()
    pending = [make_execution(task) for _ in range(52)]
    column = board(mine).one(data_column="pending")
    shown = [card.marks["id"] for card in column.all(data_state=None)]
    assert shown == [f"execution-{execution.pk}" for execution in pending[:50]]
    assert column.marks["data-count"] == "52"
    more = column.one(data_more=None).marks["href"]
    for rest in (read(mine.get(more).content).one(data_column="pending"), read(mine.get(more, headers=SCRIPT).content)):
        assert [card.marks["id"] for card in rest.all(data_state=None)] == [f"execution-{e.pk}" for e in pending[50:]]
        assert rest.all(data_more=None) == []


def test_pages_of_a_column_of_finished_cards_miss_none_and_double_none(mine: Client) -> None:
    task = make_task()
    ended = [make_execution(task, state=State.COMPLETED) for _ in range(51)]
    Execution.objects.update(state_at=ended[0].state_at)  # the same moment: only the id orders them
    first = board(mine).one(data_column="completed")
    second = read(mine.get(first.one(data_more=None).marks["href"], headers=SCRIPT).content)
    ids = [card.marks["data-execution"] for part in (first, second) for card in part.all(data_state=None)]
    assert ids == [str(execution.pk) for execution in reversed(ended)]


@pytest.mark.parametrize(
    "query",
    [
        {"column": "pending", "after": "x"},
        {"column": "nowhere", "after": "1~2"},
        {"column": "completed", "after": "2026-01-01~00000000-0000-4000-8000-000000000000"},
        {"column": "planning"},
    ],
)
def test_a_page_that_is_none_is_not_found(mine: Client, query: dict[str, str]) -> None:
    assert mine.get("/", query).status_code == 404


def test_the_board_asks_few_questions_however_many_cards(
    mine: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    task = make_task()
    for state in (State.WAITING, State.RUNNING, State.RESUMING, State.COMPLETED, State.FAILED):
        make_execution(task, state=state)
        if state == State.RESUMING:
            Execution.objects.filter(state=state).update(queue="elsewhere")
    for _ in range(3):
        make_execution(task)
        make_plan(task)
    with django_assert_max_num_queries(MOST_QUERIES):
        mine.get("/")


def test_a_full_board_is_light(mine: Client) -> None:
    task = make_task()
    for n in range(50):
        make_execution(task, title=f"Import number {n}", input={"text": "x" * 10_000})
    html = mine.get("/").content
    assert len(gzip.compress(html)) < 30_000
    assert b"xxxx" not in html


def test_a_page_needs_no_looser_policy(mine: Client) -> None:
    make_plan()
    response = mine.get("/")
    assert "'unsafe" not in response["Content-Security-Policy"]
    page = read(response.content)
    assert not [found for found in page.inside if any(name.startswith("on") or name == "style" for name in found.marks)]
    assert [found.marks.get("type") for found in page.tagged("script") if "src" not in found.marks] == [
        "application/json"
    ]


# Drops


def test_a_plan_dropped_on_pending_becomes_one_execution(mine: Client, mira: User) -> None:
    plan = make_plan(input={"name": "you"}, title="Greet everybody")
    response = drop(mine, f"plan-{plan.pk}", "pending", key="k1")
    execution = Execution.objects.get()
    assert response.status_code == 200
    assert read(response.content).one(data_execution=str(execution.pk)).marks["data-in"] == "pending"
    assert (execution.plan_id, execution.title, execution.owner) == (plan.pk, "Greet everybody", mira)
    assert execution.input == '{"name":"you"}'
    plan.refresh_from_db()
    assert plan.state == Plan.State.LAUNCHED


def test_two_drops_of_one_plan_are_one_execution(mine: Client) -> None:
    plan = make_plan()
    answers = [drop(mine, f"plan-{plan.pk}", "pending", key=key) for key in ("k1", "k2", "k2")]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert Execution.objects.count() == 1
    assert len({read(answer.content).one(data_execution=None).marks["id"] for answer in answers}) == 1


def test_a_task_dropped_twice_by_one_gesture_is_one_execution(mine: Client) -> None:
    make_task()
    for _ in range(2):
        assert drop(mine, "library-greet", "pending", key="k1").status_code == 200
    assert Execution.objects.count() == 1
    drop(mine, "library-greet", "pending", key="k2")
    assert Execution.objects.count() == 2


def test_a_task_dropped_on_planning_is_planned_before_the_plan_under_it(mine: Client) -> None:
    below = make_plan()
    response = drop(mine, "library-greet", "planning", before=f"plan-{below.pk}")
    made = Plan.objects.exclude(pk=below.pk).get()
    assert read(response.content).one(id=f"plan-{made.pk}").marks["data-in"] == "planning"
    assert list(Plan.objects.standing()) == [made, below]
    assert Execution.objects.count() == 0


def test_a_plan_is_given_its_place(mine: Client) -> None:
    task = make_task()
    first, second = make_plan(task), make_plan(task)
    response = drop(mine, f"plan-{second.pk}", "planning", before=f"plan-{first.pk}")
    assert read(response.content).one(id=f"plan-{second.pk}").marks["data-version"] == "2"
    assert list(Plan.objects.standing()) == [second, first]


def test_a_plan_is_removed(mine: Client) -> None:
    plan = make_plan()
    response = drop(mine, f"plan-{plan.pk}", "library")
    assert (response.status_code, response.content) == (200, b"")
    plan.refresh_from_db()
    assert plan.state == Plan.State.REMOVED


def test_a_running_card_dropped_on_planning_is_cancelled(mine: Client) -> None:
    execution = make_execution(state=State.RUNNING)
    response = drop(mine, f"execution-{execution.pk}", "planning")
    assert read(response.content).one(data_state="cancelling").marks["data-in"] == "running"


def test_a_card_that_is_cancelled_at_once_leaves_the_board(mine: Client) -> None:
    execution = make_execution(state=State.WAITING)
    assert drop(mine, f"execution-{execution.pk}", "planning").content == b""
    execution.refresh_from_db()
    assert execution.state == State.CANCELLED


@pytest.mark.parametrize(
    ("state", "to", "told"),
    [
        (State.PENDING, "planning", "open the card and press Cancel"),
        (State.PENDING, "running", "Only a worker starts a run"),
        (State.RUNNING, "completed", "It can go to: Planning (Cancel)"),
        (State.COMPLETED, "pending", "Run it again from its page or from the library"),
        (State.FAILED, "pending", "Run it again from its page or from the library"),
        (State.CANCELLED, "pending", "has left the board: it was cancelled, or run again"),
    ],
)
def test_a_drop_that_cannot_be_changes_nothing_and_says_why(mine: Client, state: State, to: str, told: str) -> None:
    execution = make_execution(state=state)
    before = Execution.objects.values().get()
    response = drop(mine, f"execution-{execution.pk}", to)
    assert response.status_code == 409
    assert told in response.content.decode()
    assert response["Content-Type"].startswith("text/plain")
    assert Execution.objects.values().get() == before


def test_where_a_card_is_is_read_from_the_database(mine: Client) -> None:
    """The browser still showed it in Running."""
    execution = make_execution(state=State.COMPLETED)
    assert drop(mine, f"execution-{execution.pk}", "planning").status_code == 409


def test_a_plan_that_was_removed_cannot_be_moved(mine: Client) -> None:
    plan = make_plan()
    planning.remove(plan.pk, now=timezone.now())
    for to in ("pending", "planning", "library"):
        response = drop(mine, f"plan-{plan.pk}", to)
        assert (response.status_code, "was removed" in response.content.decode()) == (409, True)
    assert Execution.objects.count() == 0


@pytest.mark.parametrize(
    ("card", "to", "status"),
    [
        ("plan-999", "pending", 404),
        ("library-nothing", "pending", 404),
        ("execution-00000000-0000-4000-8000-000000000000", "planning", 404),
        ("plan-1; DROP TABLE", "pending", 400),
        ("plan-99999999999999999999", "pending", 400),
        ("", "pending", 400),
        ("library-greet", "nowhere", 400),
        ("library-greet\0", "pending", 400),
    ],
)
def test_what_is_no_card_or_no_column_is_refused(mine: Client, card: str, to: str, status: int) -> None:
    make_task()
    response: HttpResponse = drop(mine, card, to)
    assert response.status_code == status
    assert response.content


def test_missing_input_leads_to_the_form(mine: Client) -> None:
    plan = make_plan(make_task(input_schema=NEEDS_CSV))
    response = drop(mine, f"plan-{plan.pk}", "pending", key="k1")
    assert (response.status_code, response["Location"]) == (422, f"/tasks/greet/run/?plan={plan.pk}")
    assert Execution.objects.count() == 0
    assert drop(mine, "library-greet", "pending")["Location"] == "/tasks/greet/run/"


def test_a_drop_needs_a_post_a_person_and_their_token(mine: Client, mira: User) -> None:
    plan = make_plan()
    assert mine.get("/board/move/", {"card": f"plan-{plan.pk}", "to": "pending"}).status_code == 405
    assert drop(Client(), f"plan-{plan.pk}", "pending").status_code == 302
    forged = Client(enforce_csrf_checks=True)
    forged.force_login(mira)
    assert drop(forged, f"plan-{plan.pk}", "pending").status_code == 403
    assert Execution.objects.count() == 0


# Without script


def test_run_is_a_button_that_needs_no_script(mine: Client) -> None:
    make_plan()
    response = press(mine, board(mine), "Run Greet")
    assert "is in Pending: Greet." in said(response)
    assert read(response.content).one(data_column="pending").marks["data-count"] == "1"


def test_a_page_sent_twice_starts_one_execution(mine: Client) -> None:
    make_task()
    page = board(mine)
    press(mine, page, "Run Greet")
    press(mine, page, "Run Greet")
    assert Execution.objects.count() == 1
    press(mine, board(mine), "Run Greet")
    assert Execution.objects.count() == 2


def test_plan_and_remove_are_buttons_too(mine: Client) -> None:
    make_task()
    assert "Greet is planned." in said(press(mine, board(mine), "Plan Greet"))
    assert "is off the board" in said(press(mine, board(mine), "Remove Greet from Planning"))


def test_without_script_missing_input_is_a_page(mine: Client) -> None:
    plan = make_plan(make_task(input_schema=NEEDS_CSV))
    response = drop(mine, f"plan-{plan.pk}", "pending", script=False)
    assert (response.status_code, response["Location"]) == (302, f"/tasks/greet/run/?plan={plan.pk}")


def test_without_script_a_refusal_is_said_on_the_board(mine: Client) -> None:
    claim = claim_for(make_execution())
    begin(claim)
    response = mine.post("/board/move/", {"card": f"execution-{claim.execution_id}", "to": "failed"}, follow=True)
    assert "A card comes to Failed by itself" in said(response)
