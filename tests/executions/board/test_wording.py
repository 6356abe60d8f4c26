"""Events and states in a person's words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.utils import timezone

from executions import transitions
from executions.board.wording import EVENTS, LOOKS, happening, look
from executions.history.fold import KINDS
from executions.models import Execution
from executions.states import State
from tests.executions.lives import awaiting, end, fresh, paused, recorded, sleeping, with_children

pytestmark = pytest.mark.django_db


def told(execution: Execution, kind: str) -> str:
    """The title and the detail of its first event of this kind."""
    event = execution.events.filter(kind=kind).first()
    assert event is not None, kind
    said = happening(event)
    return f"{said.title}: {said.detail}"


def test_every_kind_of_event_has_its_words() -> None:
    assert set(KINDS) <= set(EVENTS)
    assert set(State) == set(LOOKS)


def test_waits_are_told_with_what_is_waited_for() -> None:
    assert told(sleeping(), "slept").startswith("Waits: until ")
    execution = awaiting("paid")
    assert told(execution, "slept") == "Waits: for the signal “paid”"
    transitions.signal(execution.pk, name="paid", value={"by": "card"}, now=timezone.now(), actor="user:mira")
    assert told(execution, "signalled") == "Signal: “paid” " + json.dumps({"by": "card"})


def test_children_are_told_as_they_start_and_end() -> None:
    parent, children = with_children(2)
    assert told(parent, "child_started") == "Started children: 2 children: helper"
    transitions.cancel(children[0].pk, now=timezone.now(), actor="user:mira")
    assert told(parent, "child_ended") == f"Child ended: {children[0]} cancelled"


def test_what_it_waits_for_is_its_look() -> None:
    words = [look(paused()).word, look(sleeping()).word, look(awaiting()).word, look(with_children(0)[0]).word]
    assert words == ["Paused", "Sleeping", "Waiting for a signal", "Waiting for its children"]


def test_a_pause_and_a_checkpoint_are_told() -> None:
    assert told(paused(reason="until Monday"), "paused") == "Paused: until Monday"
    execution, _ = recorded()
    assert told(execution, "checkpoint") == "Checkpoint: seen"


@pytest.mark.parametrize(
    ("how", "words"),
    [({}, "the same again"), ({"input": {"n": 2}}, "with changes"), ({"resume": True}, "with what was recorded")],
)
def test_a_run_again_says_how(how: dict[str, Any], words: str) -> None:
    old, _ = recorded()
    new = transitions.rerun(old.pk, again=transitions.Again(**how), now=timezone.now(), actor="user:mira")
    assert told(fresh(new), "submitted").startswith(f"Submitted: run 2, {words}; to queue default")


def test_a_child_that_ends_well_is_told_by_its_number() -> None:
    parent, (child,) = with_children(1)
    end(child)
    assert told(parent, "child_ended") == f"Child ended: {child} completed"
