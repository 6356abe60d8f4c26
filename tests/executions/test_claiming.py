"""The claim: what is taken, in which order, and by whom; many claimers at once against a real database."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from executions import transitions
from executions.models import Attempt, Event, Execution
from executions.retry import Category
from executions.transitions import Claim, claiming
from tasks import queues
from tasks.models import Task
from tests.make import an_error, begin, make_execution, make_task

CLAIMERS = 16 if connection.vendor == "postgresql" else 4


def claim(*names: str, most: int = 1, offers: Sequence[str] = ("python",), worker: str = "w1") -> list[Claim]:
    return transitions.claim(
        worker, incarnation=1, queues=names or ("default",), offers=offers, now=timezone.now(), most=most
    )


def ids(claims: Sequence[Claim]) -> list[UUID]:
    return [claim.execution_id for claim in claims]


def submit_many(task: Task, count: int, *, now: datetime | None = None, **wish: Any) -> list[UUID]:
    at = now or timezone.now()
    input = wish.pop("input", {})
    return [transitions.submit(task, input=input, now=at, actor="user:mira", **wish).execution.pk for _ in range(count)]


def together(do: Callable[[int], object], *, times: int = CLAIMERS) -> None:
    """Do it in so many threads at once, each with a connection of its own."""
    ready, failed = threading.Barrier(times), []

    def run(number: int) -> None:
        try:
            ready.wait(10)
            do(number)
        except Exception as error:
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(50)
    assert failed == []


@pytest.mark.django_db
class TestOneClaim:
    def test_it_takes_as_many_as_are_wanted_in_their_order(self) -> None:
        made = submit_many(make_task(), 5)
        assert ids(claim(most=3)) == made[:3]
        assert ids(claim(most=3)) == made[3:]
        assert claim(most=3) == []

    def test_each_gets_a_token_an_attempt_and_a_sealed_event(self) -> None:
        made = submit_many(make_task(), 2)
        claims = claim(most=2)
        assert [(one.token, one.attempt, one.worker) for one in claims] == [(1, 1, "w1")] * 2
        assert Counter(Attempt.objects.values_list("execution", flat=True)) == Counter(made)
        told = Event.objects.filter(kind="claimed").values_list("seq", "actor")
        assert list(told) == [(2, "worker:w1")] * 2
        assert not Event.objects.filter(hash="").exists()
        assert set(Execution.objects.values_list("state", "last_seq")) == {("preparing", 2)}

    def test_the_number_of_statements_does_not_grow_with_the_number_of_claims(self) -> None:
        submit_many(make_task(), 12)
        counted = []
        for most in (1, 10):
            with CaptureQueriesContext(
                connection,
            ) as asked:
                assert len(claim(most=most)) == most
            counted.append(len(asked))
        assert counted[0] == counted[1] <= 6  # two of them open and close the transaction

    def test_a_childs_claim_knows_its_parent(self) -> None:
        parent = make_execution()
        [held] = claim()
        begin(held)
        transitions.run(
            held, key="run-1", occurrence=0, input_hash="", children=[transitions.Child(task="greet")], gathers=False,
            fail_fast=True, now=timezone.now(),
        )  # fmt: skip
        [child] = claim()
        assert child.parent_id == parent.pk

    def test_the_first_of_all_queues_is_taken_first(self) -> None:
        for n in range(3):
            make_task(f"t{n}", queue=f"q{n}")
        start = timezone.now()
        made = [
            submit_many(Task.objects.get(slug=f"t{n % 3}"), 1, now=start + timedelta(milliseconds=n))[0]
            for n in range(9)
        ]
        assert ids(claim("q0", "q1", "q2", most=9)) == made

    def test_what_starts_later_does_not_stand_in_front(self) -> None:
        task, now = make_task(), timezone.now()
        later = submit_many(task, claiming.WINDOW + 50, priority="urgent", start_at=now + timedelta(minutes=1), now=now)
        [due] = submit_many(task, 1, priority="low", now=now)
        assert (
            min(Execution.objects.filter(pk__in=later).values_list("rank", flat=True))
            < Execution.objects.get(pk=due).rank
        )
        assert ids(claim(most=2)) == [due]

    def test_what_started_later_is_taken_when_its_moment_has_come(self) -> None:
        now = timezone.now()
        task = make_task()
        [second] = submit_many(task, 1, now=now - timedelta(seconds=5))
        [first] = submit_many(task, 1, now=now - timedelta(minutes=1), start_at=now - timedelta(seconds=10))
        assert ids(claim(most=2)) == [first, second]

    def test_a_retry_has_a_head_start_once_it_is_due(self) -> None:
        task = make_task(retry={"retry_interval": 0, "jitter": 0})
        [again] = submit_many(task, 1)
        submit_many(task, 3)
        [held] = claim()
        begin(held)
        transitions.fail(held, category=Category.ERROR, error=an_error(retryable=True), now=timezone.now())
        assert ids(claim()) == [again]

    def test_what_cannot_be_run_here_does_not_hide_what_can(self) -> None:
        submit_many(make_task(), claiming.WINDOW + 10)
        [shell] = submit_many(make_task("sh", runtime="shell"), 1)
        assert ids(claim(offers=("shell",))) == [shell]


@pytest.mark.django_db
class TestPausedQueues:
    def test_nothing_is_taken_from_a_paused_queue_until_it_goes_on(self) -> None:
        execution = make_execution()
        queues.pause("default", now=timezone.now(), actor="user:mira")
        assert claim() == []
        queues.resume("default")
        assert ids(claim()) == [execution.pk]

    def test_other_queues_go_on(self) -> None:
        make_execution()
        [other] = submit_many(make_task("other", queue="other"), 1)
        queues.pause("default", now=timezone.now(), actor="user:mira")
        assert ids(claim("default", "other", most=5)) == [other]


@pytest.mark.django_db(transaction=True)
class TestManyClaimers:
    def test_each_execution_is_claimed_once(self) -> None:
        made = submit_many(make_task(), 200)
        taken: list[UUID] = []

        def work(number: int) -> None:
            while claims := claim(most=3, worker=f"w{number}"):
                taken.extend(ids(claims))

        together(work)
        assert sorted(taken) == sorted(made)

    def test_none_is_left_over_while_others_are_taking(self) -> None:
        """Rows that another claim has locked are passed over, never taken for the end of the queue."""
        submit_many(make_task(), CLAIMERS)
        taken: list[UUID] = []
        together(lambda number: taken.extend(ids(claim(worker=f"w{number}"))))
        assert len(set(taken)) == CLAIMERS


@pytest.fixture
def backlog(db: None) -> None:
    """Enough rows, with fresh statistics, for a planner to have a choice."""
    task = make_task()
    submit_many(task, 300)
    submit_many(task, 300, start_at=timezone.now() + timedelta(days=1))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def explained(sql: str, params: Sequence[Any]) -> str:
    how = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
    with connection.cursor() as cursor:
        cursor.execute(f"{how} {sql}", params)
        return "\n".join(str(row) for row in cursor.fetchall())


def test_the_claim_goes_by_its_indexes(backlog: None, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, Sequence[Any]]] = []
    plain = claiming._rows

    def seen(sql: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
        asked.append((sql, params))
        return plain(sql, params)

    monkeypatch.setattr(claiming, "_rows", seen)
    assert claim(most=2)
    assert claim(offers=("shell",)) == []
    plans = [explained(sql, params) for sql, params in asked]
    assert "claim_order" in plans[0]
    assert "claim_later" in plans[0]
    assert plans[-1].count("claim_by_task") >= 2
