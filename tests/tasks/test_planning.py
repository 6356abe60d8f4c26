"""What stands in Planning, and in which order."""

from typing import Any

import pytest
from django.utils import timezone

from tasks import events, planning
from tasks.models import Plan
from tests.make import make_plan, make_task

pytestmark = pytest.mark.django_db


def order() -> list[str]:
    return [plan.title for plan in Plan.objects.standing()]


def test_plans_stand_in_the_order_they_were_made_and_moved() -> None:
    task = make_task()
    a, b, c = (make_plan(task, title=title) for title in "abc")
    assert order() == ["a", "b", "c"]
    planning.place(c.pk, before=a, now=timezone.now())
    planning.place(a.pk, before=None, now=timezone.now())
    planning.place(a.pk, before=b, now=timezone.now())
    assert order() == ["c", "a", "b"]


def test_a_launch_happens_once_and_can_be_taken_back() -> None:
    plan = make_plan()
    planning.launch(plan.pk, now=timezone.now())
    with pytest.raises(planning.NotPlanned, match="launched"):
        planning.launch(plan.pk, now=timezone.now())
    planning.take_back(plan.pk, now=timezone.now())
    assert Plan.objects.get().version == 3


def test_a_removed_plan_stays_in_the_record() -> None:
    plan = make_plan()
    planning.remove(plan.pk, now=timezone.now())
    assert order() == []
    with pytest.raises(planning.NotPlanned, match="removed"):
        planning.edit(plan.pk, now=timezone.now(), title="x")
    assert Plan.objects.get().state == "removed"


def test_only_what_a_person_writes_can_be_edited() -> None:
    with pytest.raises(TypeError):
        planning.edit(make_plan().pk, now=timezone.now(), state="launched")


def test_every_change_is_announced_after_commit(django_capture_on_commit_callbacks: Any) -> None:
    heard = []

    def hear(sender: object, *, plan_id: int, version: int, **_: object) -> None:
        heard.append(version)

    events.planned.connect(hear)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            plan = make_plan()
            planning.edit(plan.pk, now=timezone.now(), title="x")
            assert heard == []
    finally:
        events.planned.disconnect(hear)
    assert heard == [1, 2]
