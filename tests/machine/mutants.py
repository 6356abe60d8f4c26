"""The door, broken on purpose in one place each: what the machine must notice."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.db.models import F

from executions import events, families, queries, transitions
from executions.models import Claim, Execution, Question, Signal, Step, Timer, Wait
from executions.retry import Again
from executions.states import FINAL, HELD, LIVE, Reason, State
from executions.transitions import (
    again,
    answering,
    children,
    claiming,
    ending,
    finishing,
    moving,
    owning,
    submitting,
    suspending,
    telling,
    timing,
)

Break = Callable[[pytest.MonkeyPatch], None]


def swap(patch: pytest.MonkeyPatch, original: Any, changed: Any) -> None:
    """Put another function in the place of one, in every module of the door that knows it by any name."""
    modules = [transitions, *(
        importlib.import_module(f"{transitions.__name__}.{module.name}")
        for module in pkgutil.iter_modules(transitions.__path__)
    )]  # fmt: skip
    places = [(module, name) for module in modules for name, value in vars(module).items() if value is original]
    assert places, f"nobody knows {original}"
    for module, name in places:
        patch.setattr(module, name, changed)


def no_token_check(patch: pytest.MonkeyPatch) -> None:
    swap(patch, moving.held, lambda claim: Execution.objects.filter(state__in=HELD))


def a_claim_that_keeps_the_token(patch: pytest.MonkeyPatch) -> None:
    plain = moving.move_all

    def kept(rows: Any, target: State, **how: Any) -> list[Execution]:
        return plain(rows, target, **{**how, "token": F("token")})

    swap(patch, plain, kept)


def a_claim_of_what_is_not_due(patch: pytest.MonkeyPatch) -> None:
    plain = claiming._due

    def due(*given: Any, **how: Any) -> Any:
        Execution.objects.filter(state__in=LIVE, available_at__isnull=False).update(available_at=None)
        return plain(*given, **how)

    patch.setattr(claiming, "_due", due)


def an_answer_without_a_look(patch: pytest.MonkeyPatch) -> None:
    """Whoever comes second answers once more."""

    @moving.verb
    def answer(question_id: Any, *, value: Any, now: Any, actor: str, note: str = "") -> Execution:
        question = Question.objects.get(pk=question_id)
        execution = moving.lock(question.execution_id)
        return answering.answered(question, execution, value, now=now, actor=actor, note=note) or execution

    swap(patch, answering.answer, answer)


def a_reclaim_that_keeps_the_token(patch: pytest.MonkeyPatch) -> None:
    plain = moving.move

    def kept(rows: Any, pk: Any, target: State, **how: Any) -> Execution | None:
        return plain(rows, pk, target, **{name: value for name, value in how.items() if name != "token"})

    patch.setattr(ending, "move", kept)


def a_reclaim_of_any_token(patch: pytest.MonkeyPatch) -> None:
    plain = owning.reclaim

    def any_token(pk: Any, *, token: int, now: Any, actor: str) -> bool:
        return plain(pk, token=Execution.objects.values_list("token", flat=True).get(pk=pk), now=now, actor=actor)

    swap(patch, plain, any_token)


def timers_that_do_nothing(patch: pytest.MonkeyPatch) -> None:
    swap(patch, timing.fire, lambda timer_id, **how: Timer.objects.filter(pk=timer_id).delete())


def a_queue_clock_that_ends_what_runs(patch: pytest.MonkeyPatch) -> None:
    def queue(timer: Timer, execution: Execution, now: Any, actor: str) -> None:
        timing._time_out(execution, Reason.EXPIRED, "late", now, actor)

    patch.setitem(timing.DO, Timer.Kind.QUEUE, queue)


def a_wait_without_its_timer(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(suspending, "_due", lambda wait: None)


def a_wake_that_forgets_the_pause(patch: pytest.MonkeyPatch) -> None:
    def wake(execution: Execution, *, kind: str, now: Any, actor: str, reason_code: Reason, reason: str = "",
             data: Any = None) -> Execution | None:  # fmt: skip
        back = moving.resumed(now, priority=execution.priority)
        return moving.move(Execution.objects.all(), execution.pk, State.RESUMING, kind=kind, now=now, actor=actor,
                           reason=reason, data=data, reason_code=reason_code, **back)  # fmt: skip

    swap(patch, moving.wake, wake)


def a_pause_that_is_never_reached(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(telling, "_then", lambda recorded, claim, *, now: telling.Then.GO)


def a_pause_that_is_forgotten_by_a_wait(patch: pytest.MonkeyPatch) -> None:
    plain = moving._pausing
    patch.setattr(moving, "_pausing", lambda target: {} if target in (State.RESUMING, State.WAITING) else plain(target))


def a_completion_refused_while_cancelling(patch: pytest.MonkeyPatch) -> None:
    plain = transitions.complete

    def complete(claim: Claim, *, output: Any, now: Any) -> None:
        if Execution.objects.filter(pk=claim.execution_id, state=State.CANCELLING).exists():
            transitions.stopped(claim, now=now)
            return
        plain(claim, output=output, now=now)

    swap(patch, plain, complete)


def a_step_recorded_twice(patch: pytest.MonkeyPatch) -> None:
    """The second record takes the place of the first."""

    def again(claim: Claim, *, key: str, occurrence: int, value: Any, now: Any) -> Any:
        Step.objects.filter(execution=claim.execution_id, kind="step", key=key).update(value=str(value))
        return telling.Then.GO

    patch.setattr(telling, "_recorded_before", again)


def a_step_that_forgives_nothing(patch: pytest.MonkeyPatch) -> None:
    plain = moving.note
    patch.setattr(telling, "note", lambda *args, **how: plain(*args, **{k: v for k, v in how.items() if k != "losses"}))


def a_child_that_wakes_nobody(patch: pytest.MonkeyPatch) -> None:
    swap(patch, children.child_ended, lambda child, *, now: None)


def a_child_that_wakes_too_early(patch: pytest.MonkeyPatch) -> None:
    """The first of a call wakes its parent, and the last finds nobody."""
    plain = families.of_call
    patch.setattr(families, "of_call", lambda wait: plain(wait).exclude(state__in=LIVE))


def no_cascade(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(families, "to_cancel", Execution.objects.none)
    patch.setattr(queries, "to_cancel", lambda limit=100: [])


def what_ends_keeps_its_lease(patch: pytest.MonkeyPatch) -> None:
    swap(patch, moving.leaving, lambda target, now: {"finished_at": now} if target in FINAL else {})


def losses_that_are_never_counted(patch: pytest.MonkeyPatch) -> None:
    _budget(patch, "losses")


def retries_that_are_never_counted(patch: pytest.MonkeyPatch) -> None:
    _budget(patch, "retries")


def _budget(patch: pytest.MonkeyPatch, name: str) -> None:
    """What costs of this budget costs nothing."""
    plain = moving.move

    def free(rows: Any, pk: Any, target: State, **how: Any) -> Execution | None:
        return plain(rows, pk, target, **{key: value for key, value in how.items() if key != name})

    patch.setattr(ending, "move", free)


def a_drain_that_counts_as_a_loss(patch: pytest.MonkeyPatch) -> None:
    plain = moving.by_claim

    def by_claim(claim: Claim, target: State, **how: Any) -> Execution | None:
        more: dict[str, Any] = {"losses": F("losses") + 1} if target == State.RESUMING else {}
        return plain(claim, target, **how, **more)

    patch.setattr(owning, "by_claim", by_claim)


def a_cancel_that_tries_again(patch: pytest.MonkeyPatch) -> None:
    """What fails while it is being cancelled is tried again, as if nobody had asked."""
    plain = ending.give_up

    def give_up(found: Execution, decided: Any, error: Any, *, now: Any, actor: str, outcome: str) -> Execution | None:
        if not isinstance(decided, Again):
            return plain(found, decided, error, now=now, actor=actor, outcome=outcome)
        ending.close_attempt(found.pk, outcome, now=now, error=error)
        ending._again(found, decided, error, now=now, actor=actor, kind="attempt_failed", data={})
        return None

    swap(patch, plain, give_up)


def a_cancel_that_nothing_ends(patch: pytest.MonkeyPatch) -> None:
    plain = Timer.objects.create
    patch.setattr(Timer.objects, "create", lambda **how: None if how["kind"] == Timer.Kind.STOP else plain(**how))


def a_question_left_open(patch: pytest.MonkeyPatch) -> None:
    swap(patch, ending.withdraw, lambda pk, *, now: None)


def an_attempt_left_open(patch: pytest.MonkeyPatch) -> None:
    swap(patch, ending.close_attempt, lambda pk, outcome, *, now, error=None: None)


def a_signal_that_comes_early_is_lost(patch: pytest.MonkeyPatch) -> None:
    plain = Signal.objects.create

    def create(**how: Any) -> Signal:
        sent = plain(**how)
        if not Wait.objects.filter(execution=sent.execution, name=sent.name, finished_at=None).exists():
            Signal.objects.filter(pk=sent.pk).delete()
        return sent

    patch.setattr(Signal.objects, "create", create)


def a_run_number_used_again(patch: pytest.MonkeyPatch) -> None:
    plain = submitting.newborn
    patch.setattr(again, "newborn", lambda task, **how: plain(task, **{**how, "run": max(1, how["run"] - 1)}))


def a_run_number_left_out(patch: pytest.MonkeyPatch) -> None:
    plain = submitting.newborn
    patch.setattr(again, "newborn", lambda task, **how: plain(task, **{**how, "run": how["run"] + 1}))


def a_key_that_is_not_looked_up(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(submitting, "replayed", lambda actor, key, digest: None)


def a_move_from_anywhere(patch: pytest.MonkeyPatch) -> None:
    """The state that it was in is not asked."""
    plain = moving.move

    def anyway(rows: Any, pk: Any, target: State, **how: Any) -> Execution | None:
        return plain(rows, pk, target, **{**how, "sources": set(State)})

    swap(patch, plain, anyway)


def an_event_without_its_row(patch: pytest.MonkeyPatch) -> None:
    """A note that moves no counter: two events want one place."""
    plain = moving._changed

    def kept(rows: Any, **changes: Any) -> Execution | None:
        return plain(rows, **{**changes, "last_seq": F("last_seq") + ("state" in changes)})

    patch.setattr(moving, "_changed", kept)


def a_history_that_tells_another_story(patch: pytest.MonkeyPatch) -> None:
    plain = events.record
    told: dict[str, str] = {"answered": "woken"}
    patch.setattr(events, "record",
                  lambda moved, kind, **how: plain(moved, str(told.get(kind, kind)), **how))  # fmt: skip


def a_batch_that_asks_for_no_token(patch: pytest.MonkeyPatch) -> None:
    """Whoever held it once completes it."""
    plain = finishing.complete_all

    def anybody(finished: Any, *, now: Any) -> Any:
        tokens = dict(Execution.objects.values_list("pk", "token"))
        return plain([replace(one, claim=replace(one.claim, token=tokens[one.claim.execution_id])) for one in finished],
                     now=now)  # fmt: skip

    swap(patch, plain, anybody)


def a_batch_that_closes_no_attempt(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(finishing, "_close_attempts", lambda done, now: None)


def a_batch_that_wakes_no_parent(patch: pytest.MonkeyPatch) -> None:
    """Somebody's child is completed like any other."""
    plain = Execution.objects.filter

    def anybody(*given: Any, **how: Any) -> Any:
        return plain(*given, **{name: value for name, value in how.items() if (name, value) != ("parent", None)})

    patch.setattr(Execution.objects, "filter", anybody)


def a_claim_that_takes_anything_ahead(patch: pytest.MonkeyPatch) -> None:
    plain = claiming._choose
    patch.setattr(claiming, "_choose", lambda queues, offers, **how: plain(queues, ("python", "shell"), **how))


def a_batch_of_births_that_keeps_the_good_ones(patch: pytest.MonkeyPatch) -> None:
    """Each is made by itself until one cannot be."""
    plain = submitting.submit_all

    def one_by_one(task: Any, inputs: Any, **how: Any) -> list[Execution]:
        return [execution for input in inputs for execution in plain(task, [input], **how)]

    swap(patch, plain, one_by_one)


# What a history that reaches it has much of, each rule with its weight
MUTANTS: dict[Break, dict[str, int]] = {
    no_token_check: {"reclaim": 4, "checkpoint": 4, "complete": 3},
    a_claim_that_keeps_the_token: {},
    a_claim_of_what_is_not_due: {"submit": 4, "claim": 10, "fail": 4},
    an_answer_without_a_look: {"ask": 6, "answer": 6},
    a_reclaim_that_keeps_the_token: {"reclaim": 3},
    a_reclaim_of_any_token: {"reclaim": 8, "release": 4, "work": 8},
    timers_that_do_nothing: {"sleep": 3, "tick": 4, "jump": 4},
    a_queue_clock_that_ends_what_runs: {"work": 6, "jump": 6, "tick": 6},
    a_wait_without_its_timer: {"sleep": 4},
    a_wake_that_forgets_the_pause: {"ask": 4, "sleep": 4, "pause": 8, "come": 8},
    a_pause_that_is_never_reached: {"pause": 8, "step": 6, "checkpoint": 4},
    a_pause_that_is_forgotten_by_a_wait: {"pause": 6, "sleep": 4, "ask": 4},
    a_completion_refused_while_cancelling: {"cancel": 6, "complete": 6},
    a_step_recorded_twice: {"step": 12},
    a_step_that_forgives_nothing: {"reclaim": 6, "jump": 4, "work": 8, "step": 6, "checkpoint": 6},
    a_child_that_wakes_nobody: {"run": 6, "complete": 6, "work": 6},
    a_child_that_wakes_too_early: {"run": 6, "complete": 6, "cancel": 4},
    no_cascade: {"run": 8, "cancel": 4, "terminate": 4},
    what_ends_keeps_its_lease: {},
    losses_that_are_never_counted: {"reclaim": 6},
    retries_that_are_never_counted: {"fail": 8, "work": 8},
    a_drain_that_counts_as_a_loss: {"release": 6},
    a_cancel_that_tries_again: {"cancel": 5, "fail": 10, "work": 6},
    a_cancel_that_nothing_ends: {"cancel": 4},
    a_question_left_open: {"ask": 6, "cancel": 6},
    an_attempt_left_open: {},
    a_signal_that_comes_early_is_lost: {"signal": 4},
    a_run_number_used_again: {"rerun": 6, "cancel": 3},
    a_run_number_left_out: {"rerun": 6, "cancel": 3},
    a_key_that_is_not_looked_up: {"submit_under_a_key": 4},
    a_move_from_anywhere: {"work": 6},
    an_event_without_its_row: {"chat": 4},
    a_history_that_tells_another_story: {"ask": 6, "answer": 4},
    a_batch_that_asks_for_no_token: {"claim": 10, "release": 10, "complete_all": 10},
    a_batch_that_closes_no_attempt: {"claim": 6, "complete_all": 6},
    a_batch_that_wakes_no_parent: {"run": 6, "claim": 6, "complete_all": 8},
    a_claim_that_takes_anything_ahead: {"claim": 6, "submit": 4},
    a_batch_of_births_that_keeps_the_good_ones: {"submit_all": 4},
}
