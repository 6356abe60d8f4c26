"""Where the time went: it adds up, whatever happened; and what is drawn stays on the page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from executions import transitions, waiting
from executions.board.course import KINDS, TURNS, TimeBar, time_bar, timeline
from executions.models import Execution
from executions.retry import Category
from tests.executions.lives import awaiting, end, sleeping, with_children
from tests.make import a_question, an_error, make_execution

pytestmark = pytest.mark.django_db


def bar(execution: Execution, now: datetime) -> TimeBar:
    execution.refresh_from_db()
    return time_bar(execution, execution.events.filter(kind__in=TURNS).order_by("seq"), now=now)


def claim(execution: Execution, at: datetime) -> transitions.Claim:
    Execution.objects.filter(pk=execution.pk).update(available_at=None)
    [found] = transitions.claim("w1", incarnation=1, queues=["default"], offers=["python"], now=at)
    transitions.start(found, began=transitions.Began("s", "container", "bwrap", "", at), now=at)
    return found


def test_every_second_is_in_exactly_one_part() -> None:
    execution = make_execution()
    begin = execution.created_at

    def at(seconds: float) -> datetime:
        return begin + timedelta(seconds=seconds)

    first = claim(execution, at(12))
    transitions.fail(first, category=Category.ERROR, error=an_error(retryable=True), now=at(70))
    execution.refresh_from_db()
    assert execution.available_at
    waited = (execution.available_at - at(70)).total_seconds()
    second = claim(execution, at(80))
    transitions.ask(second, asked=a_question(kind="approve", options=()), now=at(100))
    question = execution.questions.get()
    transitions.answer(question.pk, value=True, now=at(170), actor="user:mira")
    third = claim(execution, at(171))
    transitions.complete(third, output={}, now=at(200))

    told = bar(execution, at(500))
    assert [part.kind for part in told.parts] == ["queue", "work", "wait", "queue", "work", "human", "queue", "work"]
    lengths = {kind: sum(p.length.total_seconds() for p in told.parts if p.kind == kind) for kind in KINDS}
    assert lengths == pytest.approx({"queue": 12 + 10 - waited + 1, "work": 58 + 20 + 29, "human": 70, "wait": waited,
                                     "away": 0, "paused": 0})  # fmt: skip
    assert sum(lengths.values()) == pytest.approx(200)
    assert told.whole == "3 m 20 s"
    assert told.title == "From submitted to completed"
    assert told.parts[-1].x + told.parts[-1].width <= 1000


def test_what_is_read_adds_up_to_the_second() -> None:
    execution = make_execution()
    found = claim(execution, execution.created_at + timedelta(seconds=20.5))
    transitions.complete(found, output={}, now=execution.created_at + timedelta(seconds=61))
    told = bar(execution, timezone.now())
    assert told.whole == "1 m 01 s"
    assert [part.told for part in told.sums] in (["20 s", "41 s"], ["21 s", "40 s"])


def test_while_it_goes_on_it_reaches_until_now() -> None:
    execution = make_execution()
    told = bar(execution, execution.created_at + timedelta(seconds=3))
    assert (told.title, told.whole) == ("From submitted to now", "3.0 s")
    assert [part.kind for part in told.parts] == ["queue"]


def test_nothing_yet_is_nothing_drawn() -> None:
    execution = make_execution()
    told = bar(execution, execution.created_at)
    assert told.parts == ()
    assert told.whole == "0 ms"


def test_a_thousand_tries_are_drawn_as_their_sums() -> None:
    execution = make_execution()
    events = list(execution.events.all())
    submitted = events[0]
    for n in range(600):
        turn = type(submitted)(kind=("claimed", "released")[n % 2], data="{}")
        turn.at = execution.created_at + timedelta(seconds=n + 1)
        events.append(turn)
    told = time_bar(execution, events, now=execution.created_at + timedelta(seconds=601))
    assert [part.kind for part in told.parts] == ["queue", "work"]
    assert told.whole == "10 m 01 s"


def test_spans_stand_inside_the_plot_under_round_ticks() -> None:
    execution = make_execution()
    begin = execution.created_at
    found = claim(execution, begin + timedelta(seconds=2))
    transitions.step(
        found, key="load", occurrence=0, input_hash="", value=1, seconds=90, now=begin + timedelta(seconds=95)
    )
    transitions.ask(found, asked=a_question(), now=begin + timedelta(seconds=100))
    execution.refresh_from_db()
    drawn = timeline(
        execution,
        list(execution.attempts.all()),
        list(execution.steps.all()),
        list(execution.questions.all()),
        now=begin + timedelta(seconds=240),
    )
    assert [span.name for span in drawn.spans] == [f"{execution}", "Attempt 1 on w1", "load", "Asked: Go on?"]
    assert [span.depth for span in drawn.spans] == [0, 1, 2, 2]
    assert [span.told for span in drawn.spans] == ["4 m 00 s", "1 m 38 s", "1 m 30 s", "2 m 20 s"]
    assert [tick.told for tick in drawn.ticks] == ["0 s", "1 min", "2 min", "3 min", "4 min"]
    assert all(span.x >= 0 and span.x + span.width <= 1000 for span in drawn.spans)
    assert drawn.now is not None
    assert drawn.height == 26 + 30 * 4 + 6


def test_sleep_and_pause_have_parts_of_their_own() -> None:
    execution = sleeping()
    begin = timezone.now()
    transitions.pause(execution.pk, now=begin + timedelta(seconds=60), actor="user:mira")
    transitions.resume(execution.pk, now=begin + timedelta(seconds=90), actor="user:mira")
    told = bar(execution, begin + timedelta(seconds=100))
    assert [part.kind for part in told.parts][-3:] == ["away", "paused", "away"]
    assert told.parts[-2].length == timedelta(seconds=30)


def test_children_that_end_one_by_one_leave_their_parent_asleep_until_the_last() -> None:
    parent, children = with_children(2)
    transitions.cancel(children[0].pk, now=timezone.now(), actor="user:mira")
    assert bar(parent, timezone.now() + timedelta(seconds=100)).parts[-1].kind == "away"
    end(children[1])
    assert bar(parent, timezone.now() + timedelta(seconds=100)).parts[-1].kind == "queue"


@pytest.mark.parametrize(("make", "name"), [(sleeping, "Sleeps until "), (awaiting, "Waits for the signal “paid”")])
def test_waits_stand_on_the_timeline_with_what_they_wait_for(make: Callable[[], Execution], name: str) -> None:
    execution = make()
    why = waiting.reasons([execution])[execution.pk]
    drawn = timeline(
        execution, list(execution.attempts.all()), [], [], list(execution.waits.all()), now=timezone.now(), why=why
    )
    assert drawn.spans[-1].name.startswith(name)
    assert drawn.spans[-1].is_current
