"""Queues through the API."""

from datetime import timedelta

import pytest
from django.utils import timezone

from executions import transitions
from tests.api import Api
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
