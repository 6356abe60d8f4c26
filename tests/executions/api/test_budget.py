"""Lists cost the same number of queries however many rows they show."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from executions import transitions
from executions.states import State
from tests.api import Api
from tests.make import make_execution, make_plan, make_task

pytestmark = pytest.mark.django_db

AUTHENTICATION = 1


def enlist(n: int) -> None:
    transitions.enlist(
        f"w{n}", host="here", pid=7, slots=4, queues=[f"q{n}"], labels={}, offers=["python"], sandbox="bwrap",
        sandbox_problem="", now=timezone.now(),
    )  # fmt: skip


def executions(n: int) -> None:
    make_execution(state=State.WAITING)
    make_execution(state=State.FAILED)
    make_execution(priority="low")


MOST: dict[str, tuple[int, Callable[[int], object]]] = {
    # the rows; for reasons: workers, busy slots, prompts, queues and tasks with limits
    "executions/": (AUTHENTICATION + 6, executions),
    "executions/?state=completed,failed": (AUTHENTICATION + 1, executions),
    "questions/": (AUTHENTICATION + 1, executions),
    "tasks/": (AUTHENTICATION + 1, lambda n: make_task(f"task-{n}")),
    "plans/": (AUTHENTICATION + 1, lambda n: make_plan(make_task(f"task-{n}"))),
    "queues/": (AUTHENTICATION + 3, enlist),
    "workers/": (AUTHENTICATION + 2, enlist),
}


@pytest.mark.parametrize("path", list(MOST))
def test_a_list_costs_the_same_for_many_rows(api: Api, path: str) -> None:
    most, make = MOST[path]
    api.get(path)  # the token's last use is noted once a minute
    for n in range(6):
        make(n)
        with CaptureQueriesContext(connection) as asked:
            rows = api.get(path)["results"]
        if rows:
            assert len(asked) <= most, [query["sql"] for query in asked]
    assert len(rows) >= 6


def test_a_list_reads_nothing_bulky(api: Api) -> None:
    make_task("greet")
    make_execution()
    with CaptureQueriesContext(connection) as asked:
        api.get("executions/")
        api.get("tasks/")
    sql = " ".join(query["sql"] for query in asked)
    for column in ('"input"', '"output"', '"source"', '"input_schema"'):
        assert column not in sql


def test_one_execution_costs_a_few_queries(api: Api) -> None:
    execution = make_execution()
    api.get(f"executions/{execution.pk}/")
    with CaptureQueriesContext(connection) as asked:
        api.get(f"executions/{execution.pk}/")
    assert len(asked) <= AUTHENTICATION + 5
