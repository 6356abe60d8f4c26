"""The same frames by plain requests."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import DjangoAssertNumQueries

from executions.models import Execution
from executions.realtime import frames
from executions.states import State
from tests.make import make_execution, make_plan

pytestmark = pytest.mark.django_db


def test_a_page_without_websockets_gets_what_changed(client: Client, mira: User) -> None:
    client.force_login(mira)
    plan = make_plan()
    execution = make_execution(plan.task, state=State.WAITING)
    left = make_execution(plan.task, state=State.CANCELLED)
    said = client.get("/board/changes/", {"since": frames.cursor(timezone.now())}).json()
    assert [card["id"] for card in said["cards"]] == [f"execution-{execution.pk}"]
    assert said["cards"][0]["column"] == "running"
    assert "Go on?" in said["cards"][0]["html"]
    assert [card["id"] for card in said["plans"]] == [f"plan-{plan.pk}"]
    assert [card["id"] for card in said["gone"]] == [f"execution-{left.pk}"]
    assert said["questions"] == 1


def test_nothing_changed_is_little(client: Client, mira: User) -> None:
    client.force_login(mira)
    execution = make_execution()
    Execution.objects.filter(pk=execution.pk).update(changed_at=timezone.now() - timedelta(minutes=5))
    said = client.get("/board/changes/", {"since": frames.cursor(timezone.now())}).json()
    assert (said["cards"], said["plans"], said["gone"]) == ([], [], [])
    assert said["counts"]["pending"] == 1


def test_without_a_cursor_it_says_where_to_begin(client: Client, mira: User) -> None:
    client.force_login(mira)
    said = client.get("/board/changes/").json()
    assert "cards" not in said
    assert frames.moment(said["cursor"])


@pytest.mark.parametrize("since", ["nonsense", "2026-01-01", "\0", "9" * 5000])
def test_a_cursor_that_is_none_means_fetch_again(client: Client, mira: User, since: str) -> None:
    client.force_login(mira)
    assert client.get("/board/changes/", {"since": since}).json()["reset"]


def test_one_execution_by_itself(client: Client, mira: User) -> None:
    client.force_login(mira)
    execution = make_execution(state=State.COMPLETED)
    said = client.get(f"/executions/{execution.pk}/changes/").json()
    assert said["execution"]["version"] == execution.revision
    assert client.get(f"/executions/{uuid4()}/changes/").status_code == 404


@pytest.mark.parametrize("path", ["/board/changes/", "/executions/00000000-0000-4000-8000-000000000000/changes/"])
def test_nobody_is_told_to_sign_in(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 401
    assert answer["Cache-Control"].startswith("max-age=0")


def test_only_reading(client: Client, mira: User) -> None:
    client.force_login(mira)
    assert client.post("/board/changes/").status_code == 405


def test_a_cursor_stands_for_its_moment_in_any_spelling() -> None:
    now = timezone.now()
    assert frames.moment(frames.cursor(now)) == now
    assert frames.moment(now.isoformat().replace("+", " ")) == now


def test_many_cards_cost_no_more_queries_than_few(django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    task = make_execution().task
    for _ in range(20):
        make_execution(task)
    with django_assert_max_num_queries(14):
        frames.replay(frames.cursor(timezone.now()))
