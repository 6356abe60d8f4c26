"""The door: what each verb does, what it refuses, and what it leaves behind."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from executions import transitions
from executions.models import Attempt, Event, Execution, LogChunk, Question, Step, Timer
from executions.retry import CRASH_BUDGET, Category
from executions.states import CLAIMABLE, FINAL, HELD, State
from executions.transitions import Refused, Stale
from executions.transitions.ending import FREE_LOSSES
from tasks import append_only
from tasks.models import Plan, Queue
from tasks.schema import Invalid
from tests.make import a_question, an_error, begin, claim_for, make_execution, make_plan, make_task

pytestmark = pytest.mark.django_db

NEEDS_NAME = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


def kinds(execution: Execution) -> list[str]:
    return list(Event.objects.filter(execution=execution).values_list("kind", flat=True))


def fresh(execution: Execution) -> Execution:
    return Execution.objects.get(pk=execution.pk)


def run(execution: Execution) -> transitions.Claim:
    claim = claim_for(execution)
    begin(claim)
    return claim


class TestSubmit:
    def test_a_row_and_its_first_event_are_born_together(self) -> None:
        execution = make_execution()
        assert (execution.state, execution.last_seq) == ("pending", 1)
        assert kinds(execution) == ["submitted"]

    def test_numbers_for_people_go_up(self) -> None:
        first, second, third = (make_execution().number for _ in range(3))
        assert first < second < third

    def test_input_that_does_not_fit_creates_nothing(self) -> None:
        task = make_task(input_schema=NEEDS_NAME)
        with pytest.raises(Invalid) as refused:
            transitions.submit(task, input={}, now=timezone.now(), actor="user:mira")
        assert [(p.pointer, p.message) for p in refused.value.problems] == [("/input/name", "is required")]
        assert not Execution.objects.exists()

    @pytest.mark.parametrize("value", ["a\0b", "\ud800", float("nan"), {"a" * 3: [float("inf")]}])
    def test_what_cannot_be_told_as_json_is_refused(self, value: object) -> None:
        with pytest.raises(Invalid):
            make_execution(input={"value": value})
        assert not Execution.objects.exists()

    def test_many_are_accepted_together_or_not_at_all(self) -> None:
        task = make_task(input_schema=NEEDS_NAME)
        with pytest.raises(Invalid):
            transitions.submit_all(task, [{"name": "a"}, {}], now=timezone.now(), actor="user:mira")
        assert not Execution.objects.exists()
        made = transitions.submit_all(task, [{"name": n} for n in "abc"], now=timezone.now(), actor="user:mira")
        assert [row.input for row in Execution.objects.order_by("number")] == [row.input for row in made]
        assert Event.objects.filter(kind="submitted", seq=1).count() == 3

    def test_an_unknown_queue_is_refused_by_name(self) -> None:
        with pytest.raises(Invalid) as refused:
            make_execution(queue="nowhere")
        assert "nowhere" in refused.value.problems[0].message

    def test_a_replayed_key_returns_the_first(self) -> None:
        task = make_task()
        first, again = (
            transitions.submit(task, input={}, now=timezone.now(), actor="a", idempotency_key="k") for _ in range(2)
        )
        assert (first.created, again.created) == (True, False)
        assert first.execution.pk == again.execution.pk

    def test_a_key_for_another_request_is_refused(self) -> None:
        task = make_task()
        transitions.submit(task, input={}, now=timezone.now(), actor="a", idempotency_key="k")
        with pytest.raises(Refused, match="different request"):
            transitions.submit(task, input={"x": 1}, now=timezone.now(), actor="a", idempotency_key="k")

    def test_another_principal_has_keys_of_their_own(self) -> None:
        task = make_task()
        made = [
            transitions.submit(task, input={}, now=timezone.now(), actor=actor, idempotency_key="k") for actor in "ab"
        ]
        assert made[0].execution.pk != made[1].execution.pk

    def test_a_plan_is_launched_once_whatever_the_key(self) -> None:
        plan = make_plan()
        made = [
            transitions.submit(plan.task, input={}, now=timezone.now(), actor="a", plan=plan, idempotency_key=key)
            for key in ("one", "two", None)
        ]
        assert len({submission.execution.pk for submission in made}) == 1
        assert [submission.created for submission in made] == [True, False, False]
        assert Plan.objects.get().state == "launched"

    def test_a_removed_plan_cannot_be_launched(self) -> None:
        plan = make_plan()
        Plan.objects.update(state="removed")
        with pytest.raises(Refused, match="removed"):
            transitions.submit(plan.task, input={}, now=timezone.now(), actor="a", plan=plan)


class TestClaim:
    def test_it_takes_the_row_with_a_lease_and_a_new_token(self) -> None:
        execution = make_execution()
        claim = claim_for(execution)
        row = fresh(execution)
        assert (row.state, row.token, row.attempt, row.worker) == ("preparing", 1, 1, "w1")
        assert row.lease_until is not None
        assert claim.token == 1
        assert kinds(execution) == ["submitted", "claimed"]

    def test_nothing_due_is_no_claim(self) -> None:
        assert transitions.claim("w1", incarnation=1, queues=["default"], offers=["python"], now=timezone.now()) == []

    def test_a_worker_takes_only_what_it_can_run(self) -> None:
        make_execution()
        for queues, offers in ((["other"], ["python"]), (["default"], ["shell"])):
            assert transitions.claim("w", incarnation=1, queues=queues, offers=offers, now=timezone.now()) == []

    def test_what_is_not_due_yet_waits(self) -> None:
        make_execution(start_at=timezone.now() + timedelta(hours=1))
        assert transitions.claim("w", incarnation=1, queues=["default"], offers=["python"], now=timezone.now()) == []

    def test_priority_is_a_head_start(self) -> None:
        low, normal, urgent = (make_execution(priority=word) for word in ("low", "normal", "urgent"))
        taken = [
            transitions.claim("w", incarnation=1, queues=["default"], offers=["python"], now=timezone.now())
            for _ in range(3)
        ]
        assert [claim.execution_id for claims in taken for claim in claims] == [urgent.pk, normal.pk, low.pk]

    def test_no_two_claims_of_one_row(self) -> None:
        execution = make_execution()
        claim_for(execution)
        assert transitions.claim("w", incarnation=1, queues=["default"], offers=["python"], now=timezone.now()) == []


class TestAttempt:
    def test_the_whole_way(self) -> None:
        execution = make_execution()
        claim = run(execution)
        now = timezone.now()
        transitions.log(claim, lines=[(1.0, "stdout", "info", "hello")], message="hello", now=now)
        transitions.progress(claim, fraction=0.5, message="half", now=now)
        assert transitions.step(claim, key="a", occurrence=0, input_hash="", value=1, seconds=0.1, now=now) == "go"
        transitions.complete(claim, output={"n": 1}, now=now)
        row = fresh(execution)
        assert (row.state, json.loads(row.output or ""), row.lease_until) == ("completed", {"n": 1}, None)
        expected = ["submitted", "claimed", "started", "progress_reported", "step_recorded", "completed"]
        assert kinds(execution) == expected
        assert list(Event.objects.values_list("seq", flat=True)) == list(range(1, 7))
        assert Attempt.objects.get().outcome == "completed"
        assert [line.text for line in LogChunk.objects.lines()] == ["hello"]

    def test_progress_is_an_event_only_at_every_tenth(self) -> None:
        execution = make_execution()
        claim = run(execution)
        for part in range(100):
            transitions.progress(claim, fraction=part / 100, message="", now=timezone.now())
        assert kinds(execution).count("progress_reported") == 9

    def test_what_was_printed_shows_on_the_card_and_history_keeps_the_authors_word(self) -> None:
        execution = make_execution()
        claim = run(execution)
        transitions.progress(claim, fraction=0.5, message="half", line="printed since", now=timezone.now())
        transitions.progress(claim, fraction=None, message="", line="and more", now=timezone.now())
        row = fresh(execution)
        assert (row.progress, row.message) == (0.5, "and more")
        assert json.loads(Event.objects.get(kind="progress_reported").data)["message"] == "half"

    def test_a_step_is_recorded_once(self) -> None:
        claim = run(make_execution())
        step: dict[str, Any] = {"key": "a", "occurrence": 0, "input_hash": "", "value": 1, "seconds": 0.0}
        transitions.step(claim, **step, now=timezone.now())
        assert transitions.step(claim, **step, now=timezone.now()) == "go"  # its ack was lost: it counts once
        assert Step.objects.count() == 1
        with pytest.raises(Refused, match="recorded already"):
            transitions.step(claim, **{**step, "value": 2}, now=timezone.now())
        assert Step.objects.count() == 1

    def test_log_lines_are_numbered_over_attempts(self) -> None:
        execution = make_execution()
        first = run(execution)
        transitions.log(first, lines=[(1.0, "stdout", "info", "a")] * 3, message=None, now=timezone.now())
        transitions.release(first, now=timezone.now())
        second = run(execution)
        transitions.log(second, lines=[(1.0, "stdout", "info", "b")], message=None, now=timezone.now())
        assert [(line.n, line.text) for line in LogChunk.objects.lines()] == [(1, "a"), (2, "a"), (3, "a"), (4, "b")]
        assert [line.n for line in LogChunk.objects.lines(after=2, limit=1)] == [3]


class TestFencing:
    def test_a_stale_worker_writes_nothing_and_its_try_is_recorded(self) -> None:
        execution = make_execution()
        old = run(execution)
        assert transitions.reclaim(execution.pk, token=old.token, now=timezone.now(), actor="scheduler")
        new = run(execution)
        before = fresh(execution)
        with pytest.raises(Stale):
            transitions.complete(old, output={}, now=timezone.now())
        with pytest.raises(Stale):
            transitions.log(old, lines=[(1.0, "stdout", "info", "late")], message="late", now=timezone.now())
        after = fresh(execution)
        assert (after.state, after.token, after.output) == (before.state, before.token, None)
        assert kinds(execution)[-2:] == ["write_refused", "write_refused"]
        assert not LogChunk.objects.exists()
        transitions.complete(new, output={}, now=timezone.now())

    def test_renew_names_only_what_is_still_held(self) -> None:
        kept, gone = run(make_execution()), run(make_execution())
        transitions.reclaim(gone.execution_id, token=gone.token, now=timezone.now(), actor="scheduler")
        assert transitions.renew([kept, gone]) == {kept.execution_id: "running"}

    def test_reclaim_needs_the_token_it_saw(self) -> None:
        execution = make_execution()
        claim = run(execution)
        assert not transitions.reclaim(execution.pk, token=claim.token + 1, now=timezone.now(), actor="scheduler")
        assert fresh(execution).state == "running"


class TestLosses:
    def test_a_lost_worker_is_not_a_retry(self) -> None:
        execution = make_execution()
        claim = run(execution)
        transitions.reclaim(execution.pk, token=claim.token, now=timezone.now(), actor="scheduler")
        row = fresh(execution)
        assert (row.state, row.reason_code, row.losses, row.retries) == ("resuming", "recovered", 1, 0)
        assert kinds(execution)[-1] == "lost"

    def test_a_loss_before_hello_is_not_counted(self) -> None:
        execution = make_execution()
        claim = claim_for(execution)
        transitions.reclaim(execution.pk, token=claim.token, now=timezone.now(), actor="scheduler")
        assert fresh(execution).losses == 0

    def test_poison_stops_after_the_crash_budget(self) -> None:
        execution = make_execution()
        for _ in range(CRASH_BUDGET + 1):
            claim = run(execution)
            before = timezone.now() - timedelta(minutes=1)  # its delay has passed
            transitions.reclaim(execution.pk, token=claim.token, now=before, actor="scheduler")
        row = fresh(execution)
        assert (row.state, row.reason_code, row.attempt) == ("failed", "worker_lost", CRASH_BUDGET + 1)

    def test_poison_that_nobody_sees_begin_stops_too(self) -> None:
        execution = make_execution()
        for _ in range(FREE_LOSSES + CRASH_BUDGET + 1):
            claim = claim_for(execution)
            before = timezone.now() - timedelta(minutes=1)
            transitions.reclaim(execution.pk, token=claim.token, now=before, actor="scheduler")
        assert (fresh(execution).state, fresh(execution).reason_code) == ("failed", "worker_lost")

    def test_a_recorded_step_forgives_losses(self) -> None:
        execution = make_execution()
        claim = run(execution)
        transitions.reclaim(execution.pk, token=claim.token, now=timezone.now(), actor="scheduler")
        claim = run(execution)
        transitions.step(claim, key="a", occurrence=0, input_hash="", value=1, seconds=0, now=timezone.now())
        assert fresh(execution).losses == 0

    def test_the_next_life_of_a_worker_takes_back_at_once(self) -> None:
        life: dict[str, Any] = {
            "host": "h",
            "pid": 1,
            "slots": 1,
            "queues": ["default"],
            "labels": {},
            "offers": ["python"],
        }
        life |= {"sandbox": "bwrap", "sandbox_problem": ""}
        first = transitions.enlist("w1", **life, now=timezone.now())
        execution = make_execution()
        run(execution)
        second = transitions.enlist("w1", **life, now=timezone.now())
        assert (first, second) == (1, 2)
        assert fresh(execution).state == "resuming"
        assert not transitions.beat("w1", incarnation=first, now=timezone.now())


class TestFailure:
    def test_a_plain_error_fails_at_once(self) -> None:
        execution = make_execution()
        transitions.fail(run(execution), category=Category.ERROR, error=an_error(), now=timezone.now())
        row = fresh(execution)
        assert (row.state, row.reason_code, row.retries) == ("failed", "error", 0)
        assert json.loads(row.error or "")["message"] == "it went wrong"
        assert kinds(execution)[-1] == "failed"

    def test_retryable_errors_spend_the_retry_budget_with_growing_delays(self) -> None:
        execution = make_execution(make_task(retry={"max_retries": 2, "jitter": 0}))
        delays = []
        for _ in range(2):
            claim = run(execution)
            now = timezone.now()
            transitions.fail(claim, category=Category.ERROR, error=an_error(retryable=True), now=now)
            row = fresh(execution)
            delays.append((row.available_at - now).total_seconds() if row.available_at else 0)
            assert (row.state, row.reason_code) == ("resuming", "retry")
            Execution.objects.update(available_at=None)
        transitions.fail(run(execution), category=Category.ERROR, error=an_error(retryable=True), now=timezone.now())
        row = fresh(execution)
        assert delays == [2, 4]
        assert (row.state, row.reason_code, row.retries, row.attempt) == ("failed", "gave_up", 2, 3)
        assert json.loads(row.error or "")["type"] == "MaxRetriesExceeded"
        assert kinds(execution).count("retry_scheduled") == 2

    def test_a_timeout_is_final(self) -> None:
        execution = make_execution()
        transitions.fail(run(execution), category=Category.TIMEOUT, error=an_error(), now=timezone.now())
        assert fresh(execution).state == "timed_out"

    def test_a_hostile_error_is_kept_within_limits(self) -> None:
        execution = make_execution()
        error = an_error(message="x" * 1_000_000, stack="\0\ud800")
        transitions.fail(run(execution), category=Category.ERROR, error=error, now=timezone.now())
        assert len(fresh(execution).error or "") < 200_000


class TestQuestion:
    def test_asking_frees_the_slot_and_the_answer_resumes(self) -> None:
        execution = make_execution()
        transitions.ask(run(execution), asked=a_question(), now=timezone.now())
        row = fresh(execution)
        assert (row.state, row.waiting_for, row.lease_until, row.worker) == ("waiting", "answer", None, "")
        transitions.answer(Question.objects.get().pk, value="yes", now=timezone.now(), actor="user:mira")
        row = fresh(execution)
        assert (row.state, row.reason_code) == ("resuming", "answered")
        assert kinds(execution)[-2:] == ["asked", "answered"]

    def test_the_second_answer_is_told_who_was_first(self) -> None:
        execution = make_execution()
        transitions.ask(run(execution), asked=a_question(), now=timezone.now())
        question = Question.objects.get()
        transitions.answer(question.pk, value="yes", now=timezone.now(), actor="user:mira")
        with pytest.raises(Refused, match="mira answered"):
            transitions.answer(question.pk, value="no", now=timezone.now(), actor="user:boss")
        assert Question.objects.get().answer == '"yes"'

    @pytest.mark.parametrize(
        ("asked", "wrong", "right"),
        [
            ({}, "maybe", "no"),
            ({"kind": "approve"}, "yes", True),
            ({"kind": "approve"}, 1, False),
            ({"kind": "choices"}, ["yes", "x"], ["yes"]),
            ({"kind": "text"}, "  ", "because"),
            ({"kind": "form", "schema": NEEDS_NAME}, {}, {"name": "x"}),
        ],
    )
    def test_a_wrong_answer_changes_nothing(self, asked: dict[str, Any], wrong: object, right: object) -> None:
        execution = make_execution()
        transitions.ask(run(execution), asked=a_question(**asked), now=timezone.now())
        pk = Question.objects.get().pk
        with pytest.raises(Invalid):
            transitions.answer(pk, value=wrong, now=timezone.now(), actor="user:mira")
        assert fresh(execution).state == "waiting"
        transitions.answer(pk, value=right, now=timezone.now(), actor="user:mira")

    def test_a_question_that_nobody_could_answer_is_refused(self) -> None:
        execution = make_execution()
        with pytest.raises(Refused, match="is not a valid JSON Schema"):
            transitions.ask(
                run(execution), asked=a_question(kind="form", schema={"type": "nonsense"}), now=timezone.now()
            )
        assert not Question.objects.exists()
        assert fresh(execution).state == "running"

    def test_a_deadline_answers_with_its_default(self) -> None:
        execution = make_execution()
        asked = a_question(deadline=timezone.now(), default="no", has_default=True)
        transitions.ask(run(execution), asked=asked, now=timezone.now())
        transitions.fire(Timer.objects.get().pk, now=timezone.now(), actor="scheduler")
        assert fresh(execution).state == "resuming"
        assert Question.objects.get().answered_by == "scheduler"

    def test_a_deadline_without_a_default_fails(self) -> None:
        execution = make_execution()
        transitions.ask(run(execution), asked=a_question(deadline=timezone.now()), now=timezone.now())
        transitions.fire(Timer.objects.get().pk, now=timezone.now(), actor="scheduler")
        row = fresh(execution)
        assert (row.state, row.reason_code, Question.objects.get().state) == ("failed", "no_answer", "expired")

    def test_a_stale_timer_does_nothing(self) -> None:
        execution = make_execution()
        transitions.ask(run(execution), asked=a_question(deadline=timezone.now()), now=timezone.now())
        transitions.answer(Question.objects.get().pk, value="yes", now=timezone.now(), actor="user:mira")
        transitions.fire(Timer.objects.get().pk, now=timezone.now(), actor="scheduler")
        assert fresh(execution).state == "resuming"


class TestCancel:
    @pytest.mark.parametrize("state", [State.PENDING, State.RESUMING, State.WAITING])
    def test_without_a_worker_it_ends_at_once(self, state: State) -> None:
        execution = make_execution(state=state)
        transitions.cancel(execution.pk, now=timezone.now(), actor="user:mira", reason="no longer needed")
        assert fresh(execution).state == "cancelled"
        assert not Question.objects.filter(state="open").exists()

    def test_with_a_worker_it_waits_for_the_sandbox(self) -> None:
        execution = make_execution()
        claim = run(execution)
        transitions.cancel(execution.pk, now=timezone.now(), actor="user:mira")
        assert transitions.renew([claim]) == {execution.pk: "cancelling"}
        transitions.stopped(claim, now=timezone.now())
        assert (fresh(execution).state, Attempt.objects.get().outcome) == ("cancelled", "cancelled")

    def test_what_really_happened_wins(self) -> None:
        execution = make_execution()
        claim = run(execution)
        transitions.cancel(execution.pk, now=timezone.now(), actor="user:mira")
        transitions.complete(claim, output={}, now=timezone.now())
        assert fresh(execution).state == "completed"

    def test_a_step_is_told_to_stop(self) -> None:
        execution = make_execution()
        claim = run(execution)
        transitions.cancel(execution.pk, now=timezone.now(), actor="user:mira")
        then = transitions.step(claim, key="a", occurrence=0, input_hash="", value=1, seconds=0, now=timezone.now())
        assert then == "cancel"

    def test_a_draining_worker_has_seen_it_stop(self) -> None:
        execution = make_execution()
        claim = run(execution)
        transitions.cancel(execution.pk, now=timezone.now(), actor="user:mira")
        transitions.release(claim, now=timezone.now())
        assert fresh(execution).state == "cancelled"

    def test_nobody_saw_it_stop(self) -> None:
        execution = make_execution(state=State.TERMINATED)
        assert (execution.state, execution.reason_code) == ("terminated", "not_stopped")

    def test_a_second_cancel_is_refused(self) -> None:
        execution = make_execution(state=State.CANCELLING)
        with pytest.raises(Refused, match="cancelling"):
            transitions.cancel(execution.pk, now=timezone.now(), actor="user:mira")


@pytest.mark.parametrize("state", sorted(FINAL))
def test_final_is_final(state: State) -> None:
    execution = make_execution(state=state)
    assert execution.state == state
    with pytest.raises(Refused) as refused:
        transitions.cancel(execution.pk, now=timezone.now(), actor="user:mira")
    assert (refused.value.code, refused.value.allowed) == ("final", ["retry"])
    assert fresh(execution).state == state
    assert sum(kind in set(FINAL) for kind in kinds(execution)) == 1
    assert kinds(execution)[-2:] == [state, "write_refused"]


@pytest.mark.parametrize("state", sorted(set(State) - {State.PAUSED}))
def test_a_lease_if_and_only_if_held(state: State) -> None:
    execution = make_execution(state=state)
    assert (execution.lease_until is not None) == (state in HELD)
    assert (execution.finished_at is not None) == (state in FINAL)
    assert Attempt.objects.filter(outcome="").exists() == (state in HELD)
    claims = transitions.claim("w", incarnation=1, queues=["default"], offers=["python"], now=timezone.now())
    assert (state in CLAIMABLE) == bool(claims)


class TestTheDatabaseKeepsIt:
    def test_history_refuses_update_and_delete(self) -> None:
        execution = make_execution(state=State.COMPLETED)
        for change in ("UPDATE executions_event SET kind = 'noted'", "DELETE FROM executions_event"):
            with pytest.raises((DatabaseError, IntegrityError)), transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(change)
        assert Event.objects.filter(execution=execution).count() == execution.last_seq
        assert append_only.missing() == []

    def test_it_can_be_lifted_for_one_transaction(self) -> None:
        execution = make_execution()
        with append_only.lifted():
            Event.objects.filter(execution=execution).update(reason="edited")
        with pytest.raises((DatabaseError, IntegrityError)), transaction.atomic():
            Event.objects.filter(execution=execution).update(reason="again")

    @pytest.mark.parametrize(
        "change", [{"state": "running"}, {"state": "completed"}, {"state": "waiting"}, {"state": "nonsense"}]
    )
    def test_a_row_cannot_lie(self, change: dict[str, str]) -> None:
        make_execution()
        with pytest.raises(IntegrityError), transaction.atomic():
            Execution.objects.update(**change)

    def test_a_version_never_changes(self) -> None:
        task = make_task()
        with pytest.raises((DatabaseError, IntegrityError)), transaction.atomic():
            task.versions.update(source="other")
        assert Queue.objects.filter(name="default").exists()


class TestWords:
    def test_an_answer_that_cannot_be_stored_is_refused_with_its_place(self) -> None:
        execution = make_execution()
        transitions.ask(run(execution), asked=a_question(kind="text"), now=timezone.now())
        pk = Question.objects.get().pk
        for words in ({"value": "a\0b"}, {"value": "fine", "note": "\ud800"}):
            with pytest.raises(Invalid) as refused:
                transitions.answer(pk, **words, now=timezone.now(), actor="user:mira")
            assert refused.value.problems[0].pointer in {"/value", "/note"}
        assert fresh(execution).state == "waiting"

    def test_a_reason_that_cannot_be_stored_is_refused(self) -> None:
        execution = make_execution()
        with pytest.raises(Invalid):
            transitions.cancel(execution.pk, now=timezone.now(), actor="user:mira", reason="\0")
        assert fresh(execution).state == "pending"


def test_the_order_of_a_form_is_the_order_of_its_schema() -> None:
    names = ["zeta", "alpha", "midway", "b"]
    task = make_task(input_schema={"type": "object", "properties": {name: {"type": "string"} for name in names}})
    version = task.versions.get()
    assert list(version.input_schema["properties"]) == names


@pytest.mark.skipif(connection.vendor != "sqlite", reason="INSERT OR REPLACE is SQLite's own")
def test_an_event_is_not_replaced_either() -> None:
    execution = make_execution()
    event = Event.objects.get(execution=execution)
    columns = "execution_id, seq, kind, at, standing, actor, reason, data, hash"
    by_key = f"INSERT OR REPLACE INTO executions_event (id, {columns}) SELECT id, {columns} FROM executions_event"
    by_seq = f"INSERT OR REPLACE INTO executions_event ({columns}) SELECT {columns} FROM executions_event"
    for statement in (by_key, by_seq):
        with (
            pytest.raises(IntegrityError, match="REPLACE refused"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)
    assert Event.objects.get(execution=execution).pk == event.pk
