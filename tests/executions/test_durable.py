"""Waits, children, signals, pauses, clocks and runs again: what the durable verbs of the door do and refuse."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from executions import queries, transitions
from executions.history.verifying import Verification
from executions.models import Event, Execution, Question, Signal, Step, Timer, Wait
from executions.retry import Category
from executions.states import LIVE, State
from executions.transitions import Again, Child, Claim, Refused, Stale
from executions.transitions.ending import FREE_LOSSES
from tasks.schema import Invalid
from tests.make import a_question, an_error, begin, bring, claim_for, make_execution, make_task

pytestmark = pytest.mark.django_db

YEAR = timedelta(days=365)


def kinds(execution: Execution) -> list[str]:
    return list(Event.objects.filter(execution=execution).values_list("kind", flat=True))


def fresh(execution: Execution) -> Execution:
    return Execution.objects.get(pk=execution.pk)


def running(execution: Execution | None = None) -> tuple[Execution, Claim]:
    found = execution or make_execution()
    claim = claim_for(found)
    begin(claim)
    return found, claim


def step(claim: Claim, key: str, value: Any = 1) -> str:
    return transitions.step(claim, key=key, occurrence=0, input_hash="", value=value, seconds=0, now=timezone.now())


def fire(execution: Execution, kind: Timer.Kind) -> None:
    timer = Timer.objects.get(execution=execution, kind=kind)
    transitions.fire(timer.pk, now=timer.due_at, actor="scheduler")


def complete(claim: Claim, output: Any = None) -> None:
    transitions.complete(claim, output=output, now=timezone.now())


def fail(claim: Claim, **error: Any) -> None:
    transitions.fail(claim, category=Category.ERROR, error=an_error(**error), now=timezone.now())


def start_children(claim: Claim, *children: Child, fail_fast: bool = True, key: str = "run-1") -> list[Execution]:
    transitions.run(claim, key=key, occurrence=0, input_hash="h", children=children, gathers=True, fail_fast=fail_fast,
                    now=timezone.now())  # fmt: skip
    return list(Execution.objects.filter(parent=claim.execution_id, parent_key=key).order_by("parent_index"))


def end(child: Execution, *, well: bool = True) -> None:
    [claim] = transitions.claim("w1", incarnation=1, queues=[child.queue], offers=[child.requires], now=timezone.now())
    assert claim.execution_id == child.pk
    begin(claim)
    complete(claim, {"n": child.parent_index}) if well else fail(claim)


def memo(claim: Claim) -> dict[tuple[str, str], Any]:
    return {(r.kind, r.key): r.value for r in queries.work(claim).recorded}


class TestSleep:
    def test_it_frees_the_slot_and_goes_on_after_its_moment(self) -> None:
        execution, claim = running()
        transitions.sleep(claim, key="sleep-1", occurrence=0, seconds=3600, now=timezone.now())
        row = fresh(execution)
        assert (row.state, row.waiting_for, row.worker, row.lease_until) == ("waiting", "time", "", None)
        timer = Timer.objects.get()
        assert timer.due_at >= timezone.now() + timedelta(seconds=3590)
        assert queries.due_timers() == []
        fire(execution, Timer.Kind.WAIT)
        assert (fresh(execution).state, fresh(execution).reason_code) == ("resuming", "timer")
        again = claim_for(fresh(execution))
        assert memo(again) == {("sleep", "sleep-1"): None}
        assert kinds(execution)[-3:] == ["slept", "woken", "claimed"]

    def test_a_timer_that_fires_twice_wakes_once(self) -> None:
        execution, claim = running()
        transitions.sleep(claim, key="sleep-1", occurrence=0, seconds=1, now=timezone.now())
        pk = Timer.objects.get().pk
        for _ in range(2):
            transitions.fire(pk, now=timezone.now(), actor="scheduler")
        assert kinds(execution).count("woken") == 1

    def test_the_timer_of_a_wait_that_is_over_does_not_end_the_next_one(self) -> None:
        execution, claim = running()
        waiting: dict[str, Any] = {"key": "signal-1", "occurrence": 0, "input_hash": "", "name": "paid", "timeout": 5}
        transitions.await_signal(claim, **waiting, now=timezone.now())
        stale = Timer.objects.get().pk
        transitions.signal(execution.pk, name="paid", value=1, now=timezone.now(), actor="user:mira")
        _, claim = running(fresh(execution))
        transitions.sleep(claim, key="sleep-1", occurrence=0, seconds=3600, now=timezone.now())
        transitions.fire(stale, now=timezone.now(), actor="scheduler")
        assert (fresh(execution).state, fresh(execution).waiting_for) == ("waiting", "time")

    def test_said_twice_it_is_one_wait(self) -> None:
        execution, claim = running()
        for _ in range(2):
            transitions.sleep(claim, key="sleep-1", occurrence=0, seconds=1, now=timezone.now())
        assert Wait.objects.count() == Timer.objects.count() == 1
        assert kinds(execution)[-1] == "slept"


class TestSignal:
    def wait(self, claim: Claim, **how: Any) -> Signal | None:
        given: dict[str, Any] = {"key": "signal-1", "occurrence": 0, "input_hash": "", "name": "paid", "timeout": None}
        return transitions.await_signal(claim, **{**given, **how}, now=timezone.now())

    def send(self, execution: Execution, value: Any = None, **how: Any) -> Execution:
        return transitions.signal(
            execution.pk, **{"name": "paid", **how}, value=value, now=timezone.now(), actor="user:mira"
        )

    def test_it_ends_the_wait_for_it(self) -> None:
        execution, claim = running()
        assert self.wait(claim) is None
        assert fresh(execution).waiting_for == "signal"
        self.send(execution, {"sum": 3})
        assert fresh(execution).state == "resuming"
        assert memo(claim_for(fresh(execution))) == {("signal", "signal-1"): {"value": {"sum": 3}}}

    def test_one_that_comes_early_is_kept_and_taken_at_once(self) -> None:
        execution, claim = running()
        self.send(execution, 1)
        self.send(execution, 2)
        taken = self.wait(claim)
        assert taken is not None
        assert taken.value == 1
        assert fresh(execution).state == "running"
        assert Signal.objects.get(taken_by=None).value == 2

    def test_one_sent_twice_under_a_key_counts_once(self) -> None:
        execution, _ = running()
        self.send(execution, 1, key="k")
        self.send(execution, 1, key="k")
        assert Signal.objects.count() == 1

    def test_a_key_stands_for_one_value(self) -> None:
        execution, _ = running()
        self.send(execution, 1, key="k")
        with pytest.raises(Refused, match="another value"):
            self.send(execution, 2, key="k")

    @pytest.mark.parametrize("name", ["", "a\nb", "x" * 201])
    def test_a_name_that_no_code_can_wait_for_is_refused(self, name: str) -> None:
        execution, _ = running()
        with pytest.raises(Invalid):
            self.send(execution, name=name)

    def test_another_name_wakes_nobody(self) -> None:
        execution, claim = running()
        self.wait(claim)
        self.send(execution, name="shipped")
        assert fresh(execution).state == "waiting"

    def test_patience_ends(self) -> None:
        execution, claim = running()
        self.wait(claim, timeout=5)
        fire(execution, Timer.Kind.WAIT)
        assert memo(claim_for(fresh(execution))) == {("signal", "signal-1"): {"timed_out": True}}

    def test_what_has_ended_takes_none(self) -> None:
        execution = make_execution(state=State.COMPLETED)
        with pytest.raises(Refused) as refused:
            self.send(execution)
        assert refused.value.allowed == ["retry"]
        assert kinds(execution)[-1] == "write_refused"


class TestChildren:
    def test_a_parent_waits_for_all_and_gets_their_results_in_order(self) -> None:
        make_task("greet")
        make_task("pay")
        parent, claim = running()
        first, second = start_children(claim, Child("greet"), Child("pay", input={"n": 1}, title="Pay"))
        assert (fresh(parent).state, fresh(parent).waiting_for, fresh(parent).worker) == ("waiting", "children", "")
        assert (second.title, second.depth, second.parent_id) == ("Pay", 1, parent.pk)
        end(first)
        assert fresh(parent).state == "waiting"
        end(second)
        assert (fresh(parent).state, fresh(parent).reason_code) == ("resuming", "children")
        [results] = memo(claim_for(fresh(parent))).values()
        assert [(r["state"], r["output"]) for r in results] == [("completed", {"n": 0}), ("completed", {"n": 1})]
        assert kinds(parent)[-3:] == ["child_ended", "child_ended", "claimed"]

    def test_one_that_fails_ends_those_beside_it(self, django_capture_on_commit_callbacks: Any) -> None:
        make_task("greet")
        parent, claim = running()
        first, second, third = start_children(claim, Child("greet"), Child("greet"), Child("greet"))
        with django_capture_on_commit_callbacks(execute=True):
            end(first, well=False)
        for pk in queries.to_cancel():
            transitions.cancel_child(pk, now=timezone.now())
        assert [fresh(row).state for row in (first, second, third)] == ["failed", "cancelled", "cancelled"]
        assert fresh(parent).state == "resuming"
        [results] = memo(claim_for(fresh(parent))).values()
        assert results[0]["error"]["type"] == "ValueError"

    def test_a_running_child_that_is_stopped_says_why(self) -> None:
        make_task("greet")
        parent, claim = running()
        [child] = start_children(claim, Child("greet"))
        [its] = transitions.claim("w1", incarnation=1, queues=["default"], offers=["python"], now=timezone.now())
        begin(its)
        transitions.terminate(parent.pk, now=timezone.now(), actor="user:mira", reason="enough")
        for pk in queries.to_cancel():
            transitions.cancel_child(pk, now=timezone.now())
        assert fresh(child).state == "cancelling"
        for _ in range(2):
            transitions.release(its, now=timezone.now())
        assert (fresh(child).state, fresh(child).reason_code) == ("cancelled", "parent_ended")

    def test_without_fail_fast_the_others_go_on(self) -> None:
        make_task("greet")
        _, claim = running()
        first, second = start_children(claim, Child("greet"), Child("greet"), fail_fast=False)
        end(first, well=False)
        assert queries.to_cancel() == []
        assert fresh(second).state == "pending"

    def test_the_end_of_a_parent_ends_its_children_but_those_that_outlive_it(self) -> None:
        make_task("greet")
        parent, claim = running()
        stays, goes = start_children(claim, Child("greet", outlives=True), Child("greet"))
        transitions.cancel(parent.pk, now=timezone.now(), actor="user:mira")
        for pk in queries.to_cancel():
            transitions.cancel_child(pk, now=timezone.now())
        assert (fresh(stays).state, fresh(goes).state) == ("pending", "cancelled")
        assert fresh(goes).reason_code == "parent_ended"

    @pytest.mark.parametrize("child", [Child("nowhere"), Child("strict", input={"name": 3})])
    def test_one_that_cannot_be_started_is_refused_and_none_is(self, child: Child) -> None:
        make_task("strict", input_schema={"type": "object", "properties": {"name": {"type": "string"}}})
        parent, claim = running()
        with pytest.raises(Refused, match=child.task):
            start_children(claim, Child("strict"), child)
        assert not Execution.objects.filter(parent=parent).exists()
        assert fresh(parent).state == "running"


class TestPause:
    def pause(self, execution: Execution) -> Execution:
        return transitions.pause(execution.pk, now=timezone.now(), actor="user:mira")

    def resume(self, execution: Execution) -> Execution:
        return transitions.resume(execution.pk, now=timezone.now(), actor="user:mira")

    @pytest.mark.parametrize("state", [State.PENDING, State.RESUMING, State.WAITING])
    def test_without_a_worker_it_is_paused_at_once_and_goes_back(self, state: State) -> None:
        execution = make_execution(state=state)
        self.pause(execution)
        assert (fresh(execution).state, fresh(execution).paused_from) == ("paused", state)
        self.resume(execution)
        assert (fresh(execution).state, fresh(execution).paused_from) == (state, "")

    def test_a_running_one_is_paused_when_it_records_something(self) -> None:
        execution, claim = running()
        self.pause(execution)
        assert (fresh(execution).state, fresh(execution).pausing) == ("running", True)
        assert step(claim, "a") == "pause"
        row = fresh(execution)
        assert (row.state, row.paused_from, row.pausing, row.lease_until) == ("paused", "resuming", False, None)
        self.resume(execution)
        again = claim_for(fresh(execution))
        assert memo(again) == {("step", "a"): 1}
        assert kinds(execution)[-5:] == ["pause_requested", "step_recorded", "paused", "unpaused", "claimed"]

    def test_a_step_before_the_sandbox_is_known_to_stand_does_not_reach_it(self) -> None:
        execution = make_execution()
        claim = claim_for(execution)
        self.pause(execution)
        assert step(claim, "a") == "go"
        assert (fresh(execution).state, fresh(execution).pausing) == ("preparing", True)
        assert execution.attempts.get().outcome == ""

    def test_what_would_wait_is_paused_and_keeps_what_it_waits_for(self) -> None:
        execution, claim = running()
        self.pause(execution)
        transitions.ask(claim, asked=a_question(), now=timezone.now())
        assert (fresh(execution).state, fresh(execution).paused_from) == ("paused", "waiting")
        transitions.answer(Question.objects.get().pk, value="yes", now=timezone.now(), actor="user:mira")
        assert (fresh(execution).state, fresh(execution).paused_from) == ("paused", "resuming")
        self.resume(execution)
        assert fresh(execution).state == "resuming"

    def test_one_that_is_not_reached_can_be_taken_back(self) -> None:
        execution, claim = running()
        self.pause(execution)
        self.resume(execution)
        assert step(claim, "a") == "go"
        assert fresh(execution).state == "running"

    def test_a_sleep_that_ends_meanwhile_is_not_lost(self) -> None:
        execution, claim = running()
        transitions.sleep(claim, key="sleep-1", occurrence=0, seconds=1, now=timezone.now())
        self.pause(execution)
        fire(execution, Timer.Kind.WAIT)
        assert fresh(execution).state == "paused"
        self.resume(execution)
        assert fresh(execution).state == "resuming"

    def test_a_retry_during_a_pause_waits_for_its_end(self) -> None:
        execution, claim = running()
        self.pause(execution)
        fail(claim, retryable=True)
        assert (fresh(execution).state, fresh(execution).paused_from, fresh(execution).retries) == (
            "paused",
            "resuming",
            1,
        )
        due = fresh(execution).available_at
        self.resume(execution)
        assert fresh(execution).available_at == due

    @pytest.mark.parametrize("state", [State.COMPLETED, State.CANCELLING, State.PAUSED])
    def test_what_cannot_pause_says_what_it_can(self, state: State) -> None:
        execution = make_execution()
        self.pause(execution) if state == State.PAUSED else bring(execution, state)
        with pytest.raises(Refused) as refused:
            self.pause(execution)
        assert "pause" not in refused.value.allowed

    def test_a_paused_one_can_be_cancelled(self) -> None:
        execution = make_execution()
        self.pause(execution)
        transitions.cancel(execution.pk, now=timezone.now(), actor="user:mira")
        assert (fresh(execution).state, fresh(execution).paused_from) == ("cancelled", "")


class TestTerminate:
    def terminate(self, execution: Execution, reason: str = "the machine is on fire") -> Execution:
        return transitions.terminate(execution.pk, now=timezone.now(), actor="user:mira", reason=reason)

    @pytest.mark.parametrize("state", sorted(LIVE - {State.PAUSED}))
    def test_it_closes_the_record_from_anywhere(self, state: State) -> None:
        execution = make_execution(state=state)
        self.terminate(execution)
        assert fresh(execution).state == "terminated"
        assert not execution.attempts.filter(outcome="").exists()

    def test_its_worker_can_write_nothing_more(self) -> None:
        execution, claim = running()
        self.terminate(execution)
        with pytest.raises(Stale):
            complete(claim)
        assert fresh(execution).state == "terminated"

    def test_it_wants_a_reason(self) -> None:
        execution = make_execution()
        with pytest.raises(Refused, match="Say why"):
            self.terminate(execution, " ")
        assert fresh(execution).state == "pending"


class TestClocks:
    def test_what_nobody_starts_in_time_is_timed_out(self) -> None:
        execution = make_execution(ttl=30.0)
        fire(execution, Timer.Kind.QUEUE)
        assert (fresh(execution).state, fresh(execution).reason_code) == ("timed_out", "expired")

    def test_what_was_started_in_time_is_left_alone(self) -> None:
        execution, _ = running(make_execution(ttl=30.0))
        fire(execution, Timer.Kind.QUEUE)
        assert fresh(execution).state == "running"

    @pytest.mark.parametrize("state", sorted(LIVE - {State.PAUSED}))
    def test_what_takes_too_long_altogether_is_timed_out_wherever_it_stands(self, state: State) -> None:
        execution = make_execution(make_task("slow", timeouts={"execution": 60}), state=state)
        fire(execution, Timer.Kind.EXECUTION)
        assert (fresh(execution).state, fresh(execution).reason_code) == ("timed_out", "deadline")
        assert not execution.attempts.filter(outcome="").exists()
        assert not Question.objects.filter(state="open").exists()

    def test_its_worker_can_say_nothing_more(self) -> None:
        execution, claim = running(make_execution(make_task("slow", timeouts={"execution": 60})))
        fire(execution, Timer.Kind.EXECUTION)
        with pytest.raises(Stale):
            complete(claim)

    def test_a_cancel_that_nobody_confirms_ends_as_terminated(self) -> None:
        execution, claim = running()
        transitions.cancel(execution.pk, now=timezone.now(), actor="user:mira")
        fire(execution, Timer.Kind.STOP)
        assert (fresh(execution).state, fresh(execution).reason_code) == ("terminated", "not_stopped")
        with pytest.raises(Stale):
            transitions.stopped(claim, now=timezone.now())

    def test_a_ttl_that_is_none_is_refused(self) -> None:
        with pytest.raises(Invalid):
            make_execution(ttl=-1.0)


class TestAgain:
    def rerun(self, execution: Execution, **how: Any) -> Execution:
        return transitions.rerun(execution.pk, again=Again(**how), now=timezone.now(), actor="user:mira")

    def ended(self) -> Execution:
        """Failed, with steps a and b recorded, and an answer between them."""
        execution, claim = running()
        step(claim, "a", 1)
        transitions.ask(claim, asked=a_question(), now=timezone.now())
        transitions.answer(Question.objects.get().pk, value="yes", now=timezone.now(), actor="user:mira")
        _, claim = running(fresh(execution))
        step(claim, "b", 2)
        fail(claim)
        return fresh(execution)

    def test_a_retry_is_the_next_run_of_its_lineage_and_keeps_nothing(self) -> None:
        old = self.ended()
        new = self.rerun(old)
        assert (new.state, new.run, new.rerun_of_id, new.lineage, new.input) == (
            "pending",
            2,
            old.pk,
            old.pk,
            old.input,
        )
        assert not new.steps.exists()
        assert fresh(old).state == "failed"
        assert self.rerun(fresh(old)).run == 3

    def test_an_edited_input_is_checked_like_any_other(self) -> None:
        old = make_execution(make_task("strict", input_schema={"type": "object", "required": ["n"]}), input={"n": 1},
                             state=State.COMPLETED)  # fmt: skip
        with pytest.raises(Invalid):
            self.rerun(old, input={})
        assert self.rerun(old, input={"n": 2}).input == '{"n":2}'

    def test_a_resume_keeps_everything_recorded(self) -> None:
        new = self.rerun(self.ended(), resume=True)
        assert memo(claim_for(new)) == {("step", "a"): 1, ("ask", "ask-1"): "yes", ("step", "b"): 2}
        assert all(row.copied for row in new.steps.all())

    def test_a_resumed_run_goes_on_from_its_checkpoint_and_keeps_newer_ones(self) -> None:
        old, claim = running()
        transitions.checkpoint(claim, name="cursor", value=1, now=timezone.now())
        fail(claim)
        _, claim = running(self.rerun(old, resume=True))
        assert memo(claim) == {("checkpoint", "cursor"): 1}
        transitions.checkpoint(claim, name="cursor", value=2, now=timezone.now())
        assert memo(claim) == {("checkpoint", "cursor"): 2}

    def test_a_sleep_that_was_cut_short_is_slept_again(self) -> None:
        old, claim = running()
        transitions.sleep(claim, key="sleep-1", occurrence=0, seconds=3600, now=timezone.now())
        transitions.cancel(old.pk, now=timezone.now(), actor="user:mira")
        assert memo(claim_for(self.rerun(fresh(old), resume=True))) == {}

    @pytest.mark.parametrize(("kind", "keys"), [("runboard.ChildFailed", ["a"]), ("CardRefused", ["a", "run-1"])])
    def test_a_resume_makes_a_call_again_that_its_end_came_from(self, kind: str, keys: list[str]) -> None:
        make_task("greet")
        parent, claim = running()
        step(claim, "a", 1)
        [child] = start_children(claim, Child("greet"))
        end(child, well=False)
        _, claim = running(fresh(parent))
        fail(claim, kind=kind)
        kept = memo(claim_for(self.rerun(fresh(parent), resume=True)))
        assert [key for _, key in kept] == keys

    def test_from_a_step_keeps_what_came_before_it(self) -> None:
        new = self.rerun(self.ended(), from_step="b")
        assert memo(claim_for(new)) == {("step", "a"): 1, ("ask", "ask-1"): "yes"}

    def test_a_fork_answers_differently(self) -> None:
        old = self.ended()
        question = Question.objects.get(execution=old)
        with pytest.raises(Invalid):
            self.rerun(old, question=question.pk, answer="perhaps")
        new = self.rerun(old, question=question.pk, answer="no")
        assert memo(claim_for(new)) == {("step", "a"): 1, ("ask", "ask-1"): "no"}
        assert Question.objects.get(execution=old).answer == '"yes"'

    def test_a_step_that_was_not_recorded_is_refused_by_name(self) -> None:
        with pytest.raises(Invalid) as invalid:
            self.rerun(self.ended(), from_step="z")
        assert invalid.value.problems[0].pointer == "/from_step"

    def test_what_is_under_way_is_not_run_again(self) -> None:
        with pytest.raises(Refused, match="cannot retry now"):
            self.rerun(make_execution())


class TestSaidTwice:
    """The commit went through and its worker never heard: it says the same again."""

    def test_an_end_counts_once(self) -> None:
        execution, claim = running()
        for _ in range(2):
            complete(claim, 1)
        assert kinds(execution)[-1] == "completed"

    def test_a_failure_counts_once(self) -> None:
        execution, claim = running()
        for _ in range(2):
            fail(claim, retryable=True)
        assert fresh(execution).retries == 1

    def test_a_start_counts_once(self) -> None:
        execution, claim = running()
        begin(claim)
        assert kinds(execution)[-1] == "started"

    def test_a_question_is_asked_once(self) -> None:
        execution, claim = running()
        for _ in range(2):
            transitions.ask(claim, asked=a_question(), now=timezone.now())
        assert Question.objects.count() == 1
        assert kinds(execution)[-1] == "asked"


def test_a_checkpoint_keeps_the_newest_state_by_name() -> None:
    execution, claim = running()
    for value in (1, 2):
        transitions.checkpoint(claim, name="cursor", value=value, now=timezone.now())
    transitions.release(claim, now=timezone.now())
    assert memo(claim_for(fresh(execution))) == {("checkpoint", "cursor"): 2}
    assert Step.objects.filter(kind="checkpoint").count() == 2


def test_a_history_has_a_bound_past_which_code_records_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("executions.transitions.telling.MOST_EVENTS", 10)
    execution, claim = running()
    for number in range(7):
        step(claim, f"step-{number}")
    with pytest.raises(Refused, match="at most 10 events"):
        step(claim, "one-too-many")
    assert execution.steps.count() == 7
    fail(claim)
    assert fresh(execution).state == "failed"


def test_refusals_do_not_make_a_history_endless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("executions.transitions.moving.MOST_WITH_REFUSALS", 10)
    execution = make_execution(state=State.COMPLETED)
    for _ in range(20):
        with pytest.raises(Refused):
            transitions.cancel(execution.pk, now=timezone.now(), actor="user:mira")
    assert kinds(execution).count("write_refused") == 10 - 4


def test_a_code_that_changes_its_mind_is_in_the_history() -> None:
    execution, claim = running()
    transitions.diverged(
        claim, key="a", occurrence=0, recorded="step:1", met="step:2", policy="use", now=timezone.now()
    )
    assert kinds(execution)[-1] == "step_diverged"
    assert fresh(execution).state == "running"


def test_history_tells_of_losses_that_count_though_the_code_never_began() -> None:
    execution = make_execution()
    for _ in range(FREE_LOSSES + 1):
        Execution.objects.update(available_at=None)
        claim = claim_for(fresh(execution))
        transitions.reclaim(execution.pk, token=claim.token, now=timezone.now(), actor="scheduler")
    assert fresh(execution).losses == 1
    assert list(Verification().findings()) == []
