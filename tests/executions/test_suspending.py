"""ask, sleep, run, await_signal: what is waited for a second time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from executions import transitions
from executions.models import Event, Execution, Question, Signal, Timer
from executions.transitions import Child, Claim, Refused
from tests.executions.lives import end, fresh, running
from tests.make import a_question, make_task

pytestmark = pytest.mark.django_db


def ask(claim: Claim) -> None:
    transitions.ask(claim, asked=a_question(key="a"), now=timezone.now())


def answer(execution: Execution) -> None:
    question = Question.objects.get(execution=execution)
    transitions.answer(question.pk, value="yes", now=timezone.now(), actor="user:mira")


def sleep(claim: Claim) -> None:
    transitions.sleep(claim, key="a", occurrence=0, seconds=1, now=timezone.now())


def fire(execution: Execution) -> None:
    timer = Timer.objects.get(execution=execution)
    transitions.fire(timer.pk, now=timer.due_at, actor="scheduler")


def run(claim: Claim) -> None:
    children = [Child("child")]
    transitions.run(claim, key="a", occurrence=0, input_hash="h", children=children, gathers=False, fail_fast=True,
                    now=timezone.now())  # fmt: skip


def end_child(execution: Execution) -> None:
    end(Execution.objects.get(parent=execution))


def await_signal(claim: Claim) -> Signal | None:
    return transitions.await_signal(claim, key="a", occurrence=0, input_hash="h", name="paid", timeout=None,
                                    now=timezone.now())  # fmt: skip


def send(execution: Execution) -> None:
    transitions.signal(execution.pk, name="paid", value=12, now=timezone.now(), actor="user:mira")


@pytest.mark.parametrize(
    ("wait", "over"), [(ask, answer), (sleep, fire), (run, end_child), (await_signal, send)], ids=lambda it: it.__name__
)
def test_what_was_waited_for_in_an_earlier_attempt_cannot_be_waited_for_again(
    wait: Callable[[Claim], Any], over: Callable[[Execution], None]
) -> None:
    make_task("child")
    execution, claim = running()
    wait(claim)
    over(execution)
    _, again = running(execution)
    with pytest.raises(Refused) as refused:
        wait(again)
    assert (refused.value.code, fresh(execution).state) == ("wait_recorded", "running")
    assert Event.objects.filter(execution=execution).latest("seq").kind == "write_refused"


def test_a_kept_signal_whose_commit_was_not_heard_of_is_taken_once() -> None:
    execution, claim = running()
    send(execution)
    send(execution)
    first, again = await_signal(claim), await_signal(claim)
    assert first == again
    assert Signal.objects.filter(taken_by=None).count() == 1
    assert fresh(execution).state == "running"
