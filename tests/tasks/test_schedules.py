"""The verbs of schedules."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from tasks import manifest, schedules
from tasks.models import Schedule, Task
from tasks.schema import Invalid
from tests.make import make_schedule, make_task

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
WANTS_A_NAME = {
    "type": "object",
    "required": ["name"],
    "additionalProperties": False,
    "properties": {"name": {"type": "string"}},
}


def wrong(**members: Any) -> dict[str, str]:
    """What is said of each member that cannot be."""
    with pytest.raises(Invalid) as refused:
        make_schedule(**members)
    assert not Schedule.objects.exists()
    return {problem.pointer: problem.message for problem in refused.value.problems}


def test_a_schedule_is_made_with_its_first_tick() -> None:
    daily = make_schedule(cron="0 9 * * *", timezone="Europe/Berlin", now=NOON)
    assert (daily.next_at, daily.missed) == (datetime(2026, 5, 5, 7, 0, tzinfo=UTC), "one")
    often = make_schedule("often", every=90, now=NOON)
    assert often.next_at == NOON + timedelta(seconds=90)


def test_everything_that_is_wrong_is_named_at_once() -> None:
    task = make_task(input_schema=WANTS_A_NAME)
    found = wrong(name="No Name", task=task, input={"colour": 1}, cron="x", timezone="Mars/Here", missed="some")
    assert set(found) == {"/name", "/input/name", "/input/colour", "/cron", "/timezone", "/missed"}


@pytest.mark.parametrize("members", [{}, {"cron": "* * * * *", "every": 5}, {"every": 0}, {"every": 367 * 86_400}])
def test_a_schedule_has_one_rule(members: dict[str, Any]) -> None:
    assert set(wrong(**{"cron": "", **members})) == {"/every"}


def test_an_archived_task_is_not_scheduled() -> None:
    task = make_task()
    manifest.amend(task, now=NOON, archived=True)
    assert "archived" in wrong(task=Task.objects.get())["/task"]


def test_a_name_is_there_once_and_free_again_once_removed() -> None:
    make_schedule("nightly")
    with pytest.raises(Invalid) as refused:
        make_schedule("nightly")
    assert [problem.pointer for problem in refused.value.problems] == ["/name"]
    removed = schedules.remove("nightly", now=NOON)
    assert (removed.removed_at, removed.next_at) == (NOON, None)
    make_schedule("nightly")
    assert Schedule.objects.count() == 2


def test_a_new_rule_counts_from_now_and_takes_the_place_of_the_other_kind() -> None:
    make_schedule("nightly", cron="0 9 * * *", now=NOON)
    changed = schedules.change("nightly", now=NOON, every=60)
    assert (changed.cron, changed.every, changed.next_at) == ("", 60, NOON + timedelta(minutes=1))
    back = schedules.change("nightly", now=NOON, cron="0 13 * * *")
    assert (back.cron, back.every, back.next_at) == ("0 13 * * *", None, NOON + timedelta(hours=1))


def test_what_is_not_about_time_leaves_the_next_tick_alone() -> None:
    made = make_schedule("often", every=60, now=NOON)
    changed = schedules.change("often", now=NOON + timedelta(seconds=50), input={"a": 1}, missed="all", every=60)
    assert (changed.next_at, changed.input, changed.missed) == (made.next_at, {"a": 1}, "all")


def test_a_change_that_does_not_fit_changes_nothing() -> None:
    make_schedule("often", task=make_task(input_schema=WANTS_A_NAME), input={"name": "Mira"}, every=60)
    with pytest.raises(Invalid):
        schedules.change("often", now=NOON, input={"name": 7})
    with pytest.raises(TypeError, match="colour"):
        schedules.change("often", now=NOON, colour="red")
    assert Schedule.objects.get().input == {"name": "Mira"}


def test_a_paused_schedule_has_no_next_tick_and_goes_on_with_the_one_after_its_pause() -> None:
    make_schedule("often", every=60, now=NOON)
    paused = schedules.pause("often", now=NOON, actor="user:mira")
    again = schedules.pause("often", now=NOON + timedelta(seconds=9), actor="user:jan")
    assert (paused.next_at, again.paused_at, again.paused_by) == (None, NOON, "user:mira")
    assert schedules.change("often", now=NOON, every=30).next_at is None
    later = NOON + timedelta(seconds=100)
    resumed = schedules.resume("often", now=later)
    assert (resumed.next_at, resumed.paused_at) == (NOON + timedelta(seconds=120), None)
    assert schedules.resume("often", now=later + timedelta(hours=1)).next_at == resumed.next_at


def test_what_there_is_not_is_not_there() -> None:
    make_schedule("gone")
    schedules.remove("gone", now=NOON)
    acts: list[Callable[[], object]] = [
        lambda: schedules.change("gone", now=NOON, every=1),
        lambda: schedules.pause("gone", now=NOON, actor="user:mira"),
        lambda: schedules.resume("gone", now=NOON),
        lambda: schedules.remove("gone", now=NOON),
    ]
    for act in acts:
        with pytest.raises(Schedule.DoesNotExist):
            act()


@pytest.mark.parametrize(
    "members",
    [{"cron": ""}, {"every": 60}, {"paused_at": NOON}, {"removed_at": NOON}],
)
def test_the_database_keeps_a_schedule_whole(members: dict[str, Any]) -> None:
    made = make_schedule(cron="0 9 * * *", now=timezone.now())
    with pytest.raises(IntegrityError), transaction.atomic():
        Schedule.objects.filter(pk=made.pk).update(**members)
