"""The oracle of the chaos run and the drill: it says nothing of a sound history, and names what was tampered with."""

import pytest
from django.db import connection
from django.utils import timezone

from executions import clauses, transitions
from executions.models import Attempt, Event, Execution, Step
from executions.transitions import Again
from tasks import append_only
from tests.executions.lives import recorded
from tests.make import begin, claim_for, make_execution

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ended() -> Execution:
    """One with a recorded step, completed."""
    execution = make_execution()
    claim = claim_for(execution)
    begin(claim)
    transitions.step(claim, key="a", occurrence=0, input_hash="", value=1, seconds=0, now=timezone.now())
    transitions.complete(claim, output={"done": True}, now=timezone.now())
    return execution


def clauses_of(execution: Execution) -> list[str]:
    return [breach.clause for breach in clauses.breaches([execution.pk])]


def test_a_sound_history_breaks_nothing(ended: Execution) -> None:
    assert clauses_of(ended) == []
    assert clauses.unfinished([ended.pk]) == {}


def test_a_fork_may_bring_answers_from_an_earlier_run() -> None:
    old, question = recorded()
    again = Again(question=question.pk, answer="no")
    fork = transitions.rerun(old.pk, again=again, now=timezone.now(), actor="user:mira")
    assert clauses_of(fork) == []


def test_what_has_not_ended_is_unfinished_and_breaks_nothing() -> None:
    execution = make_execution()
    assert (clauses_of(execution), clauses.unfinished([execution.pk])) == ([], {execution.pk: "pending"})


def test_an_accepted_execution_that_is_not_there_is_lost() -> None:
    unknown = make_execution().lineage
    missing = type(unknown)(int=unknown.int ^ 1)
    assert [(breach.clause, breach.execution) for breach in clauses.breaches([missing])] == [("P1", str(missing))]


def test_a_gap_in_the_events_is_found(ended: Execution) -> None:
    with append_only.lifted(connection.alias):
        Event.objects.filter(execution=ended, kind="started").delete()
    assert clauses_of(ended) == ["P11"]


def test_an_end_without_its_event_is_found(ended: Execution) -> None:
    with append_only.lifted(connection.alias):
        Event.objects.filter(execution=ended, kind="completed").update(kind="noted")
    assert clauses_of(ended) == ["P3"]


def test_a_step_that_no_event_tells_of_is_found(ended: Execution) -> None:
    with append_only.lifted(connection.alias):
        Event.objects.filter(execution=ended, kind="step_recorded").update(kind="noted")
    assert clauses_of(ended) == ["P4"]
    assert Step.objects.filter(execution=ended).exists()


def test_an_attempt_that_is_missing_is_found(ended: Execution) -> None:
    Attempt.objects.filter(execution=ended).delete()
    assert clauses_of(ended) == ["P5"]


def test_a_write_of_an_attempt_that_was_not_current_is_found(ended: Execution) -> None:
    with append_only.lifted(connection.alias):
        Event.objects.filter(execution=ended, kind="step_recorded").update(
            data='{"attempt":2,"key":"a","occurrence":0,"seconds":0.0}'
        )
    assert clauses_of(ended) == ["P5"]
