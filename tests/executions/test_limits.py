"""Limits: how many at once, and how often; counted under their locks, so that no number of claimers exceeds one."""

from __future__ import annotations

import random
import threading
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from executions import limits, transitions, waiting
from executions.models import Attempt, Event, Execution
from executions.states import HELD, State
from tasks import manifest, queues
from tests.executions.test_claiming import CLAIMERS, claim, ids, submit_many, together
from tests.make import begin, make_execution, make_task


def complete(claims: Any) -> None:
    for one in claims:
        begin(one)
        transitions.complete(one, output=None, now=timezone.now())


@pytest.mark.django_db
class TestWhatHasAPlace:
    def test_a_task_has_its_limit_over_all_workers(self) -> None:
        made = submit_many(make_task(concurrency={"limit": 2}), 5)
        first = claim(most=10, worker="w1")
        assert ids(first) == made[:2]
        assert claim(most=10, worker="w2") == []
        complete(first[:1])
        assert ids(claim(most=10, worker="w2")) == [made[2]]

    def test_a_key_has_its_limit(self) -> None:
        task = make_task(concurrency={"limit": 1, "key": "customer.id"})
        now = timezone.now()
        first, *_ = submit_many(task, 3, now=now, input={"customer": {"id": 7}})
        other, *_ = submit_many(task, 3, now=now, input={"customer": {"id": "B"}})
        missing, *_ = submit_many(task, 3, now=now, input={})
        assert set(ids(claim(most=10))) == {first, other, missing}
        assert claim(most=10) == []
        assert set(Execution.objects.values_list("limit_key", flat=True)) == {"=7", "=B", "="}

    def test_a_queue_has_its_limit(self) -> None:
        submit_many(make_task("a"), 3)
        submit_many(make_task("b"), 3)
        queues.limit("default", most=2)
        first = claim(most=10)
        assert len(first) == 2
        assert claim() == []
        queues.limit("default", most=None)
        assert len(claim(most=10)) == 4

    def test_a_rate_counts_attempts_begun(self) -> None:
        submit_many(make_task(rate={"limit": 3, "per_seconds": 60}), 5)
        complete(claim(most=10))
        assert Attempt.objects.count() == 3
        assert claim() == []
        Attempt.objects.update(claimed_at=timezone.now() - timedelta(seconds=61))
        assert len(claim(most=10)) == 2

    def test_a_full_task_is_left_out_whole_and_the_rest_goes_on(self) -> None:
        full = make_task("full", concurrency={"limit": 1})
        now = timezone.now()
        Execution.objects.filter(pk__in=submit_many(full, 400, now=now)).update(rank=0.0)
        others = submit_many(make_task("free"), 3, now=now)
        taken = ids(claim(most=4))
        assert len(taken) == 4
        assert taken[1:] == others
        assert claim() == []

    def test_several_limits_hold_together(self) -> None:
        submit_many(make_task("a", concurrency={"limit": 3}), 10)
        submit_many(make_task("b", rate={"limit": 3, "per_seconds": 60}), 10)
        queues.limit("default", most=5)
        claims = claim(most=16)
        assert len(claims) == 5
        assert max(Counter(Execution.objects.standing(HELD).values_list("task__slug", flat=True)).values()) <= 3

    def test_the_newest_version_says_what_its_task_may(self) -> None:
        task = make_task()
        submit_many(task, 3)
        manifest.add_version(task, {"source": "pass", "concurrency": {"limit": 1}}, now=timezone.now(), by="test")
        assert len(claim(most=3)) == 1
        assert claim() == []

    def test_what_waits_for_an_answer_takes_no_place(self) -> None:
        task = make_task(concurrency={"limit": 1})
        make_execution(task, state=State.WAITING)
        [next_one] = submit_many(task, 1)
        assert ids(claim()) == [next_one]

    def test_without_limits_nothing_is_locked_or_counted(self, django_assert_num_queries: Any) -> None:
        submit_many(make_task(), 2)
        with django_assert_num_queries(6):  # savepoint, select, update, two inserts, release
            claim(most=2)


@pytest.mark.django_db
class TestFairness:
    def test_a_burst_of_one_key_does_not_delay_another(self) -> None:
        task, now = make_task(concurrency={"limit": 100, "key": "customer"}), timezone.now()
        submit_many(task, 1000, now=now, input={"customer": "A"})
        [b] = submit_many(task, 1, now=now + timedelta(seconds=1), input={"customer": "B"})
        assert b in ids(claim(most=3))

    def test_one_key_keeps_its_own_order_and_priorities_their_head_start(self) -> None:
        task, now = make_task(concurrency={"limit": 100, "key": "customer"}), timezone.now()
        made = submit_many(task, 5, now=now, input={"customer": "A"})
        [urgent] = submit_many(task, 1, now=now, input={"customer": "A"}, priority="urgent")
        assert ids(claim(most=10)) == [urgent, *made]

    def test_one_that_starts_next_week_pushes_nobody_back(self) -> None:
        task, now = make_task(concurrency={"limit": 9, "key": "customer"}), timezone.now()
        submit_many(task, 1, now=now, input={"customer": "A"}, start_at=now + timedelta(days=7))
        [today] = submit_many(task, 1, now=now, input={"customer": "A"})
        assert Execution.objects.get(pk=today).rank == now.timestamp()

    def test_nothing_starves(self) -> None:
        """Ranks stand still and time goes on: whatever comes later than a rank stands behind it."""
        task, now = make_task(concurrency={"limit": 100, "key": "customer"}), timezone.now()
        last = submit_many(task, 20, now=now, input={"customer": "A"})[-1]
        later = submit_many(task, 30, now=now + timedelta(seconds=30), input={"customer": "B"}, priority="normal")
        taken = ids(claim(most=25))
        assert taken.index(last) < min((taken.index(pk) for pk in later if pk in taken), default=25)


@pytest.mark.django_db(transaction=True)
class TestOnConflict:
    def test_skip_ends_the_new_one_at_once_and_keeps_its_record(self) -> None:
        task = make_task(concurrency={"limit": 1, "key": "customer", "on_conflict": "skip"})
        kept = make_execution(task, input={"customer": "A"})
        skipped = make_execution(task, input={"customer": "A"})
        other = make_execution(task, input={"customer": "B"})
        assert (skipped.state, skipped.reason_code) == ("cancelled", "conflict")
        assert list(Event.objects.filter(execution=skipped).values_list("kind", flat=True)) == [
            "submitted",
            "cancelled",
        ]
        assert "of “A” is live already" in Event.objects.get(execution=skipped, kind="cancelled").reason
        assert (kept.state, other.state) == ("pending", "pending")

    def test_a_skipped_child_lets_its_parent_go_on(self) -> None:
        busy = make_task("busy", concurrency={"limit": 1, "on_conflict": "skip"})
        make_execution(busy, queue="default")
        parent = make_execution(make_task(), priority="urgent")
        [held] = claim()
        begin(held)
        children = [transitions.Child(task="busy"), transitions.Child(task="busy")]
        transitions.run(held, key="run-1", occurrence=0, input_hash="", children=children, gathers=True, fail_fast=False,
                        now=timezone.now())  # fmt: skip
        parent.refresh_from_db()
        assert parent.state == "resuming"

    def test_cancel_running_takes_the_place_of_the_live_one(self) -> None:
        task = make_task(concurrency={"limit": 1, "on_conflict": "cancel_running"})
        waiting_one = make_execution(task)
        [held] = claim()
        begin(held)
        new = make_execution(task)
        waiting_one.refresh_from_db()
        assert (waiting_one.state, waiting_one.reason_code) == ("cancelling", "conflict")
        assert claim() == []  # its place is not free before it has ended
        transitions.stopped(held, now=timezone.now())
        assert ids(claim()) == [new.pk]

    def test_cancel_running_makes_room_for_one_and_no_more(self) -> None:
        task = make_task(concurrency={"limit": 2, "on_conflict": "cancel_running"})
        states = [make_execution(task) for _ in range(4)]
        assert [Execution.objects.get(pk=one.pk).state for one in states] == ["cancelled"] * 2 + ["pending"] * 2

    def test_many_submissions_at_once_leave_as_many_live_as_may_be(self) -> None:
        task = make_task(concurrency={"limit": 3, "on_conflict": "skip"})
        together(lambda _: submit_many(task, 2))
        states = Counter(Execution.objects.values_list("state", flat=True))
        assert states == {"pending": 3, "cancelled": 2 * CLAIMERS - 3}


@pytest.mark.django_db(transaction=True)
class TestManyClaimers:
    """P15: no limit is ever exceeded, however many claim at once."""

    @pytest.mark.parametrize(
        ("policy", "allowed"),
        [
            ({"concurrency": {"limit": 3}}, 3),
            ({"concurrency": {"limit": 1, "key": "customer"}}, 4),
            ({"rate": {"limit": 5, "per_seconds": 600}}, 5),
            ({}, 3),
        ],
        ids=["task", "key", "rate", "queue"],
    )
    def test_claimers_that_come_at_once_take_no_more_than_there_are_places(
        self, policy: dict[str, Any], allowed: int
    ) -> None:
        task = make_task(**policy)
        for number in range(4):
            submit_many(task, 15, input={"customer": number})
        if not policy:
            queues.limit("default", most=allowed)
        for _ in range(5):
            together(lambda number: claim(most=2, worker=f"w{number}"))
            held = Execution.objects.standing(HELD)
            assert held.count() == allowed
            if "concurrency" in policy and "key" in policy["concurrency"]:
                assert set(Counter(held.values_list("limit_key", flat=True)).values()) == {1}
            if "rate" in policy:
                assert Attempt.objects.count() == allowed
                continue
            for execution in held:
                transitions.reclaim(execution.pk, token=execution.token, now=timezone.now(), actor="scheduler")

    def test_work_that_goes_on_never_exceeds_them(self) -> None:
        submit_many(make_task("a", concurrency={"limit": 2}), 40)
        submit_many(make_task("b", concurrency={"limit": 3}), 40)
        submit_many(make_task("c"), 40)
        queues.limit("default", most=6)
        over: list[Counter[str]] = []
        done = threading.Event()

        def work(number: int) -> None:
            chance = random.Random(number)
            while not done.is_set():
                claims = claim(most=chance.randint(1, 3), worker=f"w{number}")
                held = Counter(Execution.objects.standing(HELD).values_list("task__slug", flat=True))
                if held["a"] > 2 or held["b"] > 3 or held.total() > 6:
                    over.append(held)
                complete(claims)
                if not claims and not Execution.objects.exclude(state="completed").exists():
                    done.set()

        together(work)
        assert over == []
        assert Execution.objects.filter(state="completed").count() == 120


@pytest.mark.django_db
class TestWhyItDoesNotMove:
    def why(self, execution: Execution) -> waiting.Why:
        return waiting.reasons([Execution.objects.get(pk=execution.pk)])[execution.pk]

    def test_a_paused_queue_names_who_paused_it_and_what_to_do(self) -> None:
        execution = make_execution()
        queues.pause("default", now=timezone.now(), actor="user:mira")
        found = self.why(execution)
        assert (found.code, found.act) == ("queue_paused", True)
        assert "paused by mira; resume it" in found.sentence

    @pytest.mark.parametrize(
        ("policy", "code", "said"),
        [
            ({"concurrency": {"limit": 1}}, "task_limit", "“greet” has 1 at work"),
            ({"concurrency": {"limit": 1, "key": "customer"}}, "key_limit", "1 at work for “A”"),
            ({"rate": {"limit": 1, "per_seconds": 60}}, "rate", "as often as it may (1 in 60 s)"),
            ({}, "queue_limit", "“default” has 1 at work"),
        ],
    )
    def test_a_limit_says_which_it_is(self, policy: dict[str, Any], code: str, said: str) -> None:
        task = make_task(**policy)
        if not policy:
            queues.limit("default", most=1)
        submit_many(task, 2, input={"customer": "A"})
        assert len(claim(most=2)) == 1
        found = self.why(Execution.objects.get(state="pending"))
        assert found.code == code
        assert said in found.sentence
        assert bool(found.due) == (code == "rate")


@pytest.mark.django_db
def test_a_long_key_is_hashed() -> None:
    version = make_task(concurrency={"limit": 1, "key": "/customer/name"}).latest
    assert version is not None
    key = limits.key_of(version, {"customer": {"name": "x" * 5000}})
    assert key.startswith("=sha256:")
    assert len(key) < 100
