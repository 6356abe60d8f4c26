"""Queues through the API."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from executions import transitions
from tests.api import Api, api_for
from tests.make import make_execution, make_task

pytestmark = pytest.mark.django_db


def enlist(name: str, *queues: str, slots: int) -> int:
    return transitions.enlist(
        name, host="here", pid=7, slots=slots, queues=queues, labels={}, offers=["python"], sandbox="bwrap",
        sandbox_problem="", now=timezone.now(),
    )  # fmt: skip


def test_a_queue_tells_what_waits_and_who_serves_it(api: Api) -> None:
    make_task("greet", queue="fast")
    make_task("other", queue="slow")
    enlist("w1", "fast", "slow", slots=4)
    enlist("w2", "fast", slots=2)
    gone = enlist("w3", "fast", slots=8)
    transitions.retire("w3", incarnation=gone, now=timezone.now())
    make_execution(queue="fast")
    make_execution(queue="fast", start_at=timezone.now() + timedelta(days=1))
    rows = {row["name"]: row for row in api.all("queues/?limit=1")}
    assert (rows["fast"]["depth"], rows["fast"]["slots"], rows["fast"]["workers"]) == (2, 6, ["w1", "w2"])
    assert (rows["slow"]["depth"], rows["slow"]["slots"], rows["slow"]["workers"]) == (0, 4, ["w1"])


def test_a_queue_is_paused_and_let_go_on(api: Api) -> None:
    make_task("greet", queue="fast")
    paused = api("POST", "queues/fast/pause/")
    assert (paused.status, paused.body["paused_by"], bool(paused.body["paused_at"])) == (200, "token:test (boss)", True)
    execution = make_execution(queue="fast")
    shown = api.get(f"executions/{execution.pk}/")
    assert (shown["reason_code"], "is paused by test (boss)" in shown["reason"]) == ("queue_paused", True)
    again = api("POST", "queues/fast/resume/")
    assert (again.body["paused_at"], again.body["paused_by"]) == (None, None)
    assert api("POST", "queues/nowhere/pause/").status == 404


def test_a_queues_limit_is_set_and_lifted(api: Api) -> None:
    make_task("greet", queue="fast")
    assert api("PATCH", "queues/fast/", {"limit": 3}).body["limit"] == 3
    assert api.get("queues/fast/")["limit"] == 3
    assert api("PATCH", "queues/fast/", {"limit": None}).body["limit"] is None
    for wrong in ({"limit": 0}, {"limit": "3"}, {"limit": True}, {}, {"most": 3}):
        assert api("PATCH", "queues/fast/", wrong).status == 422


def test_only_who_may_administer_changes_a_queue(mira: User) -> None:
    make_task("greet", queue="fast")
    theirs = api_for(mira)
    assert theirs.get("queues/fast/")["limit"] is None
    assert theirs("POST", "queues/fast/pause/").status == 403
    assert theirs("PATCH", "queues/fast/", {"limit": 3}).status == 403
