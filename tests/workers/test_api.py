"""Workers through the API."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from executions import transitions
from executions.models import Worker
from tests.api import Api
from tests.make import claim_for, make_execution

pytestmark = pytest.mark.django_db


def enlist(name: str) -> int:
    return transitions.enlist(
        name, host="here", pid=7, slots=4, queues=["default"], labels={"gpu": "no"}, offers=["python"], sandbox="",
        sandbox_problem="bubblewrap is missing", now=timezone.now(),
    )  # fmt: skip


def test_a_worker_tells_what_it_serves_and_how_busy_it_is(api: Api) -> None:
    enlist("w1")
    claim_for(make_execution())
    (row,) = api.all("workers/")
    told = {name: row[name] for name in ("name", "state", "slots", "busy", "queues", "labels", "offers", "sandbox")}
    assert told == {
        "name": "w1", "state": "ready", "slots": 4, "busy": 1, "queues": ["default"], "labels": {"gpu": "no"},
        "offers": ["python"], "sandbox": None,
    }  # fmt: skip
    assert row["sandbox_problem"] == "bubblewrap is missing"


def test_each_state_of_a_worker_is_told_page_by_page(api: Api) -> None:
    lives = {name: enlist(name) for name in ("d", "b", "c", "a")}
    transitions.drain("b", incarnation=lives["b"], now=timezone.now())
    transitions.retire("c", incarnation=lives["c"], now=timezone.now())
    Worker.objects.filter(name="d").update(seen_at=timezone.now() - settings.LEASE - timedelta(seconds=1))
    rows = api.all("workers/?limit=1")
    assert [(row["name"], row["state"]) for row in rows] == [
        ("a", "ready"), ("b", "draining"), ("c", "gone"), ("d", "lost")
    ]  # fmt: skip


@pytest.mark.parametrize("cursor", ["WzFd", "WyJiIiwyXQ", "W10", "W251bGxd", "W1tdXQ", "x", "%00"])
def test_a_forged_cursor_is_no_page(api: Api, cursor: str) -> None:
    enlist("a")
    assert api("GET", f"workers/?cursor={cursor}").status == 404
