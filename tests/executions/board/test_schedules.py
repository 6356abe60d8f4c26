"""The page of schedules."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from executions import schedules as firing
from executions.models import Execution
from tasks import manifest, schedules
from tasks.models import Schedule
from tests.executions.board.marks import Element, read
from tests.make import make_schedule, make_task

pytestmark = pytest.mark.django_db


@pytest.fixture
def theirs(client: Client, boss: User) -> Client:
    """The browser of an admin."""
    client.force_login(boss)
    return client


def page(client: Client) -> Element:
    response = client.get("/schedules/")
    assert response.status_code == 200
    return read(response.content)


def test_before_there_is_one_it_says_how_one_is_made(theirs: Client) -> None:
    assert "/api/v1/schedules/" in page(theirs).text
    assert [door.marks["href"] for door in page(theirs).all(aria_current="page")] == ["/schedules/"] * 2


def test_a_schedule_shows_its_rule_and_its_next_three_ticks(theirs: Client) -> None:
    made = make_schedule(cron="30 2 * * *", timezone="Europe/Berlin")
    make_schedule("often", every=3600)
    line = page(theirs).one(id="schedule-nightly")
    assert "30 2 * * * · Europe/Berlin" in line.text
    assert "not yet" in line.text
    moments = [time.marks["datetime"] for time in line.tagged("time")]
    assert moments == [moment.isoformat(timespec="seconds") for moment in made.following(3)]
    assert "every 1 h" in page(theirs).one(id="schedule-often").text


def test_its_last_run_is_linked_and_a_refusal_is_told(theirs: Client) -> None:
    task, now = make_task(), timezone.now()
    make_schedule(task=task, every=60, now=now)
    firing.fire_due(now + timedelta(minutes=1))
    line = page(theirs).one(id="schedule-nightly")
    execution = Execution.objects.get()
    assert f"/executions/{execution.pk}/" in [link.marks["href"] for link in line.tagged("a")]
    assert "Pending" in line.text
    manifest.amend(task, now=now, archived=True)
    firing.fire_due(now + timedelta(minutes=2))
    assert "is archived" in page(theirs).one(id="schedule-nightly").text


def test_an_admin_pauses_a_schedule_and_lets_it_go_on_without_a_script(theirs: Client) -> None:
    make_schedule()
    [form] = page(theirs).one(id="schedule-nightly").tagged("form")
    assert theirs.post(form.marks["action"]).headers["Location"] == "/schedules/"
    line = page(theirs).one(id="schedule-nightly")
    assert "by boss, now" in line.text
    theirs.post(line.tagged("form")[0].marks["action"])
    assert Schedule.objects.get().paused_at is None


def test_an_operator_sees_schedules_and_changes_none(client: Client, mira: User) -> None:
    client.force_login(mira)
    make_schedule()
    assert page(client).one(id="schedule-nightly").tagged("form") == []
    assert client.post("/schedules/nightly/pause/").status_code == 403


def test_what_there_is_not_is_not_there(theirs: Client) -> None:
    make_schedule()
    schedules.remove("nightly", now=timezone.now())
    assert theirs.post("/schedules/nightly/pause/").status_code == 404
    assert page(theirs).all(id="schedule-nightly") == []


def test_nobody_sees_it_without_signing_in(client: Client) -> None:
    assert client.get("/schedules/").status_code == 302


def test_many_schedules_cost_no_more_queries(theirs: Client, django_assert_max_num_queries: object) -> None:
    now, task = timezone.now(), make_task()
    for n in range(20):
        make_schedule(f"often-{n}", task=task, every=60, now=now)
    firing.fire_due(now + timedelta(minutes=1), patience=60)
    with django_assert_max_num_queries(8):  # type: ignore[operator]
        page(theirs)
