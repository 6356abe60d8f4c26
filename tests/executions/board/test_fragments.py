"""Cards: what they show, and what they never hold."""

import pytest
from django.utils import timezone

from executions import queries, transitions, waiting
from executions.board import fragments
from executions.models import Execution
from executions.retry import Category
from executions.states import CLAIMABLE, State
from tasks.models import Task
from tests.executions.board.marks import Element, read
from tests.executions.lives import awaiting, paused, sleeping, with_children
from tests.make import an_error, begin, bring, claim_for, make_execution, make_plan, make_task

pytestmark = pytest.mark.django_db

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> {{ 7|add:7 }}"


def card(execution: Execution) -> Element:
    (found,) = queries.cards([execution.pk])
    return read(fragments.card(found, waiting.reasons([found]).get(found.pk)))


@pytest.mark.parametrize(
    "state", [*sorted(CLAIMABLE), State.RUNNING, State.WAITING, State.COMPLETED, State.FAILED, State.TIMED_OUT]
)
def test_a_card_carries_the_marks_of_the_contract(state: State) -> None:
    execution = make_execution(state=state)
    root = card(execution).inside[0]
    assert root.marks["id"] == f"execution-{execution.pk}"
    assert root.marks["data-execution"] == str(execution.pk)
    assert root.marks["data-state"] == state
    assert root.marks["data-version"] == str(execution.revision)
    assert root.marks["tabindex"] == "0"
    assert root.marks["data-in"] == fragments.column_of(execution)
    assert root.tagged("a")[0].marks["href"] == f"/executions/{execution.pk}/"
    assert not [inner for inner in root.inside if {"data-execution", "data-state"} & set(inner.marks)]


def test_a_card_that_does_not_move_says_why_in_one_sentence() -> None:
    why = card(make_execution()).one(data_reason=None)
    assert why.marks["data-reason"] == "no_worker"
    assert why.text.startswith("No worker has ever served the queue")


def test_a_card_that_moves_has_no_reason() -> None:
    assert card(make_execution(state=State.RUNNING)).all(data_reason=None) == []


def test_a_card_that_waits_for_an_answer_shows_the_question_and_where_to_answer() -> None:
    execution = make_execution(state=State.WAITING)
    shown = card(execution)
    assert "waiting for you" in shown.text
    assert "Go on?" in shown.one(data_reason=None).text
    assert [link for link in shown.tagged("a") if link.text == "Answer"]


def test_a_card_that_tries_again_says_which_time_and_when() -> None:
    execution = make_execution(make_task(retry={"max_retries": 4, "retry_interval": 60}))
    claim = claim_for(execution)
    begin(claim)
    transitions.fail(claim, category=Category.ERROR, error=an_error(retryable=True), now=timezone.now())
    shown = card(execution)
    assert "retrying 1/4" in shown.text
    clock = shown.all(data_clock="down")[0]
    assert clock.marks["datetime"] > timezone.now().isoformat()
    assert shown.one(data_clock="due").marks["datetime"] == clock.marks["datetime"]
    assert shown.one(data_reason=None).marks["data-reason"] == "retrying"


def test_progress_is_shown_with_its_last_line() -> None:
    execution = make_execution()
    claim = claim_for(execution)
    begin(claim)
    transitions.progress(claim, fraction=0.4, message="Part 4 of 10", now=timezone.now())
    shown = card(execution)
    (bar,) = shown.tagged("progress")
    assert bar.marks["value"] == "40"
    assert "Part 4 of 10" in shown.text


def test_a_failed_card_says_what_went_wrong() -> None:
    assert "ValueError: it went wrong" in card(make_execution(state=State.FAILED)).text


def test_a_completed_card_shows_how_its_output_begins() -> None:
    execution = make_execution()
    claim = claim_for(execution)
    begin(claim)
    transitions.complete(claim, output={"text": "x" * 100_000}, now=timezone.now())
    (found,) = queries.cards([execution.pk])
    html = fragments.card(found)
    assert "{&quot;text&quot;:&quot;xxx" in html
    assert len(html) < 4000


def test_a_cards_clock_is_a_moment_that_runs_in_the_browser() -> None:
    execution = make_execution(state=State.RUNNING)
    clock = card(execution).one(data_clock="up")
    assert execution.started_at is not None
    assert clock.marks["datetime"] == execution.started_at.isoformat()


def test_a_fragment_is_the_same_for_everybody_and_at_every_time() -> None:
    execution = make_execution(state=State.RUNNING)
    (before,), (after,) = queries.cards([execution.pk]), queries.cards([execution.pk])
    assert fragments.card(before) == fragments.card(after)
    assert "csrf" not in fragments.card(before)


def test_a_card_never_carries_its_input() -> None:
    wide = make_task("wide")
    small = fragments.card(queries.cards([make_execution(wide, input={"text": "s"}).pk])[0])
    large = fragments.card(queries.cards([make_execution(wide, input={"text": "needle " * 20_000}).pk])[0])
    assert "needle" not in large
    assert len(large) - len(small) < 100


def test_what_people_and_authors_write_is_only_text() -> None:
    task = make_task(title=HOSTILE, agent=HOSTILE[:40], labels=[HOSTILE[:60]], description=HOSTILE)
    execution = make_execution(task, title=HOSTILE)
    claim = claim_for(execution)
    begin(claim)
    transitions.progress(claim, fraction=0.1, message=HOSTILE, now=timezone.now())
    plan = make_plan(task, title=HOSTILE, note=HOSTILE, input={HOSTILE: 1})
    for html in (
        fragments.card(queries.cards([execution.pk])[0]),
        fragments.plan(plan),
        fragments.library(Task.objects.in_library().get(pk=task.pk)),
    ):
        shown = read(html)
        assert shown.tagged("script") == []
        assert shown.tagged("img") == []
        assert HOSTILE in shown.text
        assert not [found for found in shown.inside if any(name.startswith(("on", "hx-")) for name in found.marks)]


def test_a_plan_says_what_it_needs_and_has_a_run_button() -> None:
    schema = {"type": "object", "properties": {"csv": {"type": "string"}}, "required": ["csv"]}
    plan = make_plan(make_task(input_schema=schema))
    root = read(fragments.plan(plan)).inside[0]
    assert root.marks["id"] == f"plan-{plan.pk}"
    assert root.marks["data-task"] == "greet"
    assert root.marks["data-version"] == "1"
    assert root.marks["tabindex"] == "0"
    assert "needs csv" in root.one(data_reason="needs_input").text
    run = next(button for button in root.tagged("button") if button.text.strip() == "Run")
    assert run.marks["form"] == "act"
    assert run.marks["formaction"].endswith(f"card=plan-{plan.pk}&to=pending")


def test_a_task_in_the_library_can_be_run_and_planned() -> None:
    make_task()
    root = read(fragments.library(Task.objects.in_library().get())).inside[0]
    assert root.marks["id"] == "library-greet"
    assert root.marks["data-task"] == "greet"
    assert [button.marks["aria-label"] for button in root.tagged("button")] == ["Plan Greet", "Run Greet"]


def test_a_cancelled_card_stands_in_no_column() -> None:
    execution = make_execution()
    bring(execution, State.CANCELLED)
    execution.refresh_from_db()
    assert fragments.column_of(execution) == ""


def test_what_is_paused_stands_where_it_was() -> None:
    before, later = card(paused()).inside[0], card(sleeping()).inside[0]
    assert (before.marks["data-in"], before.marks["data-state"]) == ("pending", "paused")
    assert "Paused by mira. Resume lets it go on." in before.text
    assert (later.marks["data-in"], later.marks["data-state"]) == ("running", "waiting")


def test_only_a_question_offers_to_answer() -> None:
    for execution, chip in ((sleeping(), "sleeping"), (awaiting(), "waiting for a signal")):
        drawn = card(execution)
        assert chip in drawn.text
        assert "Answer" not in drawn.text


def test_a_child_names_its_parent_and_a_run_again_its_number() -> None:
    parent, (child,) = with_children(1)
    assert f"of {parent}" in card(child).text
    transitions.cancel(child.pk, now=timezone.now(), actor="user:mira")
    new = transitions.rerun(child.pk, again=transitions.Again(), now=timezone.now(), actor="user:mira")
    assert "run 2" in card(new).text
    assert f"of {parent}" not in card(new).text
