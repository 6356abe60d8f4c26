"""Executions that pause, sleep, wait for children or a signal, or have ended with something recorded; made by the door."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from executions import transitions
from executions.models import Execution, Question
from executions.retry import Category
from executions.states import State
from executions.transitions import Child, Claim
from tasks.models import Task
from tests.make import a_question, an_error, begin, claim_for, make_execution, make_task


def running(execution: Execution | None = None, **wish: Any) -> tuple[Execution, Claim]:
    found = execution or make_execution(**wish)
    claim = claim_for(found)
    begin(claim)
    return fresh(found), claim


def fresh(execution: Execution) -> Execution:
    return Execution.objects.get(pk=execution.pk)


def paused(state: State = State.PENDING, *, reason: str = "", actor: str = "user:mira", **wish: Any) -> Execution:
    """Frozen where it stood: pending, resuming or waiting."""
    execution = make_execution(state=state, **wish)
    transitions.pause(execution.pk, now=timezone.now(), actor=actor, reason=reason)
    return fresh(execution)


def sleeping(seconds: float = 3600) -> Execution:
    execution, claim = running()
    until = timezone.now() + timedelta(seconds=seconds)
    transitions.sleep(claim, key="nap", occurrence=0, until=until, now=timezone.now())
    return fresh(execution)


def awaiting(name: str = "paid", *, timeout: float | None = None) -> Execution:
    """One that waits for a signal."""
    execution, claim = running()
    transitions.await_signal(
        claim, key=f"signal:{name}", occurrence=0, input_hash="h", name=name, timeout=timeout, now=timezone.now()
    )
    return fresh(execution)


def with_children(count: int = 3) -> tuple[Execution, list[Execution]]:
    """A parent that waits, and its children."""
    if not Task.objects.filter(slug="helper").exists():
        make_task("helper")
    execution, claim = running()
    children = [Child(task="helper", input={"n": n}) for n in range(count)]
    transitions.run(
        claim, key="run-1", occurrence=0, input_hash="h", children=children, gathers=True, fail_fast=True,
        now=timezone.now(),
    )  # fmt: skip
    return fresh(execution), list(Execution.objects.filter(parent=execution).order_by("parent_index"))


def end(child: Execution) -> None:
    claim = claim_for(child)
    begin(claim)
    transitions.complete(claim, output={"n": child.parent_index}, now=timezone.now())


def recorded(**wish: Any) -> tuple[Execution, Question]:
    """One that failed after the steps `a` and `b`, a checkpoint and an answered question."""
    execution, claim = running(**wish)
    step(claim, "a")
    transitions.checkpoint(claim, name="seen", value={"page": 2}, now=timezone.now())
    step(claim, "b")
    transitions.ask(claim, asked=a_question(), now=timezone.now())
    question = Question.objects.get(execution=execution)
    transitions.answer(question.pk, value="yes", now=timezone.now(), actor="user:mira")
    claim = claim_for(execution)
    begin(claim)
    transitions.fail(claim, category=Category.ERROR, error=an_error(), now=timezone.now())
    return fresh(execution), question


def step(claim: Claim, key: str, value: Any = 1) -> None:
    transitions.step(claim, key=key, occurrence=0, input_hash="", value=value, seconds=0, now=timezone.now())
