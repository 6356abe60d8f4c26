"""Schedules through the API."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from executions import schedules as firing
from executions.models import Execution
from tasks import manifest
from tasks.models import Schedule
from tests.api import Api, api_for
from tests.make import make_schedule, make_task

pytestmark = pytest.mark.django_db

DAILY = {"name": "nightly", "task": "greet", "cron": "30 2 * * *", "timezone": "Europe/Berlin"}


def test_a_schedule_is_made_and_told(api: Api, boss: User) -> None:
    make_task("greet")
    answer = api("POST", "schedules/", {**DAILY, "input": {"n": 1}})
    assert answer.status == 201
    assert answer.headers["Location"].endswith("/api/v1/schedules/nightly/")
    body = api.get("schedules/nightly/")
    assert body == answer.body == api.all("schedules/")[0]
    kept = {"cron": "30 2 * * *", "every": None, "missed": "one", "input": {"n": 1}, "last": None, "paused_at": None}
    assert {name: body[name] for name in kept} == kept
    assert (body["created_by"], len(body["upcoming"]), body["upcoming"][0]) == ("token:test (boss)", 3, body["next_at"])
    assert Schedule.objects.get().owner == boss


@pytest.mark.parametrize(
    ("members", "places"),
    [
        ({"colour": "red"}, ["/colour"]),
        ({"every": 60}, ["/every"]),
        ({"cron": "x"}, ["/cron"]),
        ({"cron": 7}, ["/cron"]),
        ({"timezone": "Mars/Here", "name": "No"}, ["/name", "/timezone"]),
        ({"missed": "some"}, ["/missed"]),
        ({"every": True}, ["/every"]),
        ({"input": {"a": "\ud800"}}, ["/input/a"]),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_made(api: Api, members: dict[str, Any], places: list[str]) -> None:
    make_task("greet")
    answer = api("POST", "schedules/", {**DAILY, **members})
    assert answer.status in {400, 422}
    assert sorted(answer.places) == places
    assert not Schedule.objects.exists()


def test_a_task_that_there_is_not_is_told_where_it_is_named(api: Api) -> None:
    answer = api("POST", "schedules/", DAILY)
    assert (answer.status, answer.places) == (404, ["/task"])


def test_a_name_that_is_taken_is_refused(api: Api) -> None:
    make_schedule("nightly")
    assert api("POST", "schedules/", DAILY).places == ["/name"]


def test_a_schedule_is_changed_paused_resumed_and_removed(api: Api) -> None:
    make_schedule("nightly")
    changed = api("PATCH", "schedules/nightly/", {"every": 90, "missed": "skip"})
    assert (changed.status, changed.body["every"], changed.body["cron"], changed.body["missed"]) == (
        200,
        90,
        None,
        "skip",
    )
    assert api("PATCH", "schedules/nightly/", {"name": "other"}).status == 422
    paused = api("POST", "schedules/nightly/pause/").body
    assert (paused["paused_by"], paused["next_at"], paused["upcoming"]) == ("token:test (boss)", None, [])
    assert api("POST", "schedules/nightly/resume/").body["next_at"]
    assert api("DELETE", "schedules/nightly/").body["removed_at"]
    assert api.all("schedules/") == []
    for method, path in (
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "pause/"),
        ("POST", "resume/"),
        ("GET", "firings/"),
    ):
        assert api(method, f"schedules/nightly/{path}", {}).status == 404


def test_what_came_of_its_ticks_is_told_the_latest_first(api: Api) -> None:
    task, now = make_task(), timezone.now()
    make_schedule("often", task=task, every=60, now=now)
    firing.fire_due(now + timedelta(minutes=1))
    manifest.amend(task, now=now, archived=True)
    firing.fire_due(now + timedelta(minutes=2))
    refused, made = api.all("schedules/often/firings/?limit=1")
    assert (made["execution"], made["refused"]) == (str(Execution.objects.get().pk), None)
    assert datetime.fromisoformat(made["fire_at"]) == now + timedelta(minutes=1)
    assert (refused["execution"], "archived" in refused["refused"]) == (None, True)
    assert api.get("schedules/often/")["last"] == refused


def test_who_may_not_define_sees_and_changes_nothing(mira: User) -> None:
    make_schedule("nightly")
    theirs = api_for(mira)
    assert theirs.get("schedules/nightly/")["task"] == "greet"
    assert theirs("POST", "schedules/", DAILY).status == 403
    assert theirs("POST", "schedules/nightly/pause/").status == 403
