"""An execution's page, its parts, its log, its files, and cancelling it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.db import connections
from django.test import AsyncClient, Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from executions import transitions
from executions.models import Execution
from executions.retry import Category
from executions.states import State
from tests.executions.board.marks import Element, read
from tests.executions.lives import awaiting, paused, recorded, sleeping, with_children
from tests.make import a_question, an_error, begin, bring, claim_for, make_execution, make_task

pytestmark = pytest.mark.django_db

HOSTILE = "</script><img src=x onerror=alert(1) hx-get=/evil hx-trigger=load>"
MOST_QUERIES = 22


@pytest.fixture
def mine(client: Client, mira: User) -> Client:
    """Mira's browser."""
    client.force_login(mira)
    return client


def page(client: Client, execution: Execution, *, status: int = 200) -> Element:
    response = client.get(f"/executions/{execution.pk}/")
    assert response.status_code == status
    return read(response.content)


def with_log(*lines: str, level: str = "info") -> Execution:
    execution = make_execution()
    claim = claim_for(execution)
    begin(claim)
    now = timezone.now()
    rows = [(now.timestamp(), "stdout", level, line) for line in lines]
    transitions.log(claim, lines=rows, message=None, now=now)
    execution.refresh_from_db()
    return execution


def failed(**error: str) -> Execution:
    execution = make_execution(input={"page_size": 100, "since": "today"})
    claim = claim_for(execution)
    begin(claim)
    transitions.fail(claim, category=Category.ERROR, error=an_error(**error), now=timezone.now())
    execution.refresh_from_db()
    return execution


# Every state


@pytest.mark.parametrize("state", list(State))
def test_an_execution_has_a_page_in_every_state(mine: Client, state: State) -> None:
    execution = paused() if state == State.PAUSED else make_execution(state=state)
    shown = page(mine, execution)
    assert str(execution) in shown.text
    for part in ("hero", "asked", "time", "outcome", "timeline", "values", "log", "details", "events", "steps", "acts"):
        assert shown.one(id=part)


@pytest.mark.parametrize("path", ["", "live/", "events/", "log/", "log.txt", "input.json", "cancel/"])
def test_nobody_sees_anything_without_signing_in(client: Client, path: str) -> None:
    execution = make_execution()
    response = client.get(f"/executions/{execution.pk}/{path}")
    assert response.status_code == 302
    assert response["Location"].startswith("/accounts/login/")


def test_an_unknown_execution_is_not_found(mine: Client) -> None:
    for path in ("", "live/", "events/", "log/", "log.txt", "output.json", "cancel/"):
        assert mine.get(f"/executions/01900000-0000-7000-8000-000000000000/{path}").status_code == 404


def test_the_header_says_where_it_stands(mine: Client) -> None:
    execution = make_execution(
        make_task(agent="coder", team="revenue", environment="production", labels=["crm"]), state=State.RUNNING
    )
    shown = page(mine, execution)
    details = shown.one(id="details").text
    for told in ("Running", "greet", "default", "w1", "coder", "revenue", "production", "crm", str(execution.pk)):
        assert told in details
    assert "attempt 1" in shown.one(id="hero").text


def test_a_page_asks_the_database_a_bounded_number_of_times(
    mine: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    execution = failed()
    with django_assert_max_num_queries(MOST_QUERIES):
        page(mine, execution)


# User text


def test_what_authors_and_people_wrote_is_text(mine: Client) -> None:
    task = make_task(title=HOSTILE[:150], description=HOSTILE, input_schema={"type": "object"})
    execution = make_execution(task, input={HOSTILE: HOSTILE}, title=HOSTILE)
    claim = claim_for(execution)
    begin(claim)
    now = timezone.now()
    transitions.log(claim, lines=[(now.timestamp(), "stdout", HOSTILE[:20], HOSTILE)], message=HOSTILE, now=now)
    transitions.step(claim, key=HOSTILE, occurrence=0, input_hash="", value=HOSTILE, seconds=1, now=now)
    options = ({"value": HOSTILE, "label": HOSTILE, "consequence": HOSTILE},)
    transitions.ask(claim, asked=a_question(prompt=HOSTILE, options=options), now=now)
    for address in ("", "live/", "events/"):
        shown = read(mine.get(f"/executions/{execution.pk}/{address}").content)
        assert not [found for found in shown.inside if "onerror" in found.marks or "hx-get" in found.marks]
    shown = page(mine, execution)
    assert HOSTILE in shown.one(id="hero").text
    assert shown.one(id="hero").marks["hx-ignore"] == ""
    assert shown.one(id="log").marks["hx-ignore"] == ""
    other = make_execution(task, input={})
    bring(other, State.REJECTED)
    assert not [found for found in page(mine, other).inside if "onerror" in found.marks]


# The question on it


def test_the_open_question_stands_on_the_page_with_its_form(mine: Client) -> None:
    execution = make_execution(state=State.WAITING)
    question = execution.questions.get()
    panel = page(mine, execution).one(id=f"question-{question.pk}")
    assert panel.tagged("form")[0].marks["action"] == f"/questions/{question.pk}/answer/"
    assert [found.marks["value"] for found in panel.all(type="radio")] == ["yes", "no"]


# Failure


def test_a_failure_says_what_happened_and_what_to_do(mine: Client) -> None:
    execution = failed(kind="HTTPError", message="429 Too Many Requests", stack='File "main.py", line 8, in load\n')
    outcome = page(mine, execution).one(id="outcome")
    for told in (
        "The task’s code ended with an error",
        "HTTPError: 429 Too Many Requests",
        "main.py:8",
        "Mend the code",
    ):
        assert told in outcome.text
    assert f"/executions/{execution.pk}/again/" in [link.marks["href"] for link in outcome.tagged("a")]


def test_what_its_records_do_not_fit_is_run_from_its_beginning_and_not_resumed(mine: Client) -> None:
    execution = make_execution()
    claim = claim_for(execution)
    begin(claim)
    now = timezone.now()
    transitions.step(claim, key="a", occurrence=0, input_hash="", value=1, seconds=0.1, now=now)
    transitions.fail(claim, category=Category.ERROR, error=an_error("StepDiverged"), now=now)
    told = page(mine, execution).one(id="outcome").text
    assert "Run it again from its beginning" in told
    assert "Resume with what was recorded" not in told


def test_the_last_good_run_stands_beside_it(mine: Client) -> None:
    good = make_execution(input={"page_size": 50, "since": "today"}, state=State.COMPLETED)
    outcome = page(mine, failed()).one(id="outcome")
    assert str(good) in outcome.text
    odd = [found.text for found in outcome.inside if "is-odd" in found.marks.get("class", "")]
    assert "100" in odd
    assert "today" not in odd


def test_without_a_good_run_it_says_so(mine: Client) -> None:
    assert "No run of this task has completed yet" in page(mine, failed()).text


def test_giving_up_tells_of_the_last_error(mine: Client) -> None:
    task = make_task("once", retry={"max_retries": 0})
    execution = make_execution(task)
    claim = claim_for(execution)
    begin(claim)
    transitions.fail(
        claim, category=Category.ERROR, error=an_error("Busy", message="try later", retryable=True), now=timezone.now()
    )
    outcome = page(mine, execution).one(id="outcome")
    assert "Busy: try later" in outcome.text
    assert "Run it again when the other side answers" in outcome.text


def test_what_is_tried_again_tells_of_the_error_and_when(mine: Client) -> None:
    execution = make_execution()
    claim = claim_for(execution)
    begin(claim)
    transitions.fail(claim, category=Category.ERROR, error=an_error("Busy", retryable=True), now=timezone.now())
    shown = page(mine, execution)
    assert "Busy: it went wrong" in shown.one(id="outcome").text
    assert shown.one(id="hero").one(data_reason="retrying")


def test_attempts_stand_side_by_side(mine: Client) -> None:
    execution = make_execution(state=State.RESUMING)
    begin(claim_for(execution))
    attempts = page(mine, execution).one(id="attempts")
    assert "hidden" not in attempts.marks
    assert [found.text for found in attempts.all(scope="col")][1:] == ["1", "2"]


# Values


def test_input_and_output_can_be_downloaded(mine: Client) -> None:
    execution = make_execution(input={"a": 1}, state=State.COMPLETED)
    for name, value in (("input", {"a": 1}), ("output", {"done": True}), ("error", None)):
        response = mine.get(f"/executions/{execution.pk}/{name}.json")
        assert json.loads(response.content) == value
        assert response["Content-Disposition"] == f'attachment; filename="{execution}-{name}.json"'


def test_a_huge_input_does_not_make_a_huge_page(mine: Client) -> None:
    execution = make_execution(input={"text": "x" * 1_000_000})
    response = mine.get(f"/executions/{execution.pk}/")
    assert len(response.content) < 100_000
    assert "the whole is 1.0 MB" in response.content.decode()


# Events


def test_events_tell_who_did_what_and_why(mine: Client) -> None:
    execution = make_execution(state=State.RUNNING)
    transitions.cancel(execution.pk, now=timezone.now(), actor="user:mira", reason="wrong version")
    feed = page(mine, execution).one(id="events").text
    for told in ("Submitted", "Claimed", "Started", "by w1", "Cancel asked for", "by mira", "wrong version"):
        assert told in feed


def test_all_events_are_paged_by_key(mine: Client) -> None:
    execution = make_execution()
    claim = claim_for(execution)
    begin(claim)
    for n in range(210):
        transitions.step(claim, key=f"s{n}", occurrence=0, input_hash="", value=n, seconds=0, now=timezone.now())
    first = read(mine.get(f"/executions/{execution.pk}/events/").content)
    seqs = [int(found.text) for found in first.all(data_l="Seq")]
    assert seqs == list(range(213, 13, -1))
    link = next(found for found in first.tagged("a") if found.text == "Earlier events")
    second = read(mine.get(f"/executions/{execution.pk}/events/{link.marks['href']}").content)
    assert [int(found.text) for found in second.all(data_l="Seq")] == list(range(13, 0, -1))


# The log


def test_without_a_script_the_last_lines_are_on_the_page(mine: Client) -> None:
    execution = with_log(*(f"line {n}" for n in range(1, 603)))
    log = page(mine, execution).one(role="log")
    numbers = [int(line.marks["data-line"]) for line in log.all(data_line=None)]
    assert numbers == list(range(103, 603))
    assert log.one(id="L602").text.endswith("line 602")


def test_any_range_of_lines_is_fetched(mine: Client) -> None:
    execution = with_log(*(f"line {n}" for n in range(1, 1203)))
    answer = mine.get(f"/executions/{execution.pk}/log/", {"after": 700, "limit": 3}).json()
    assert answer["last"] == 1202
    assert [(line["n"], line["text"]) for line in answer["lines"]] == [(n, f"line {n}") for n in (701, 702, 703)]
    assert set(answer["lines"][0]) == {"n", "attempt", "at", "stream", "level", "text"}
    assert answer["lines"][0]["attempt"] == 1
    assert len(mine.get(f"/executions/{execution.pk}/log/", {"limit": 10**9}).json()["lines"]) == 1000
    for nonsense in ("x", "-1", "1e9", "9" * 30, "²"):
        response = mine.get(f"/executions/{execution.pk}/log/", {"after": nonsense, "limit": nonsense})
        assert response.json()["lines"][0]["n"] == 1


def test_binary_and_endless_lines_never_break_the_page(mine: Client) -> None:
    execution = with_log("\x1b[31mred\x1b[0m \x1b]0;title\x07 \x00\x08\x9b bell\x07", "x" * 100_000)
    log = page(mine, execution).one(role="log")
    assert "red" in log.text
    assert "\x1b" not in log.text
    assert "\x00" not in log.text
    assert "96,000 more characters" in log.text
    lines = mine.get(f"/executions/{execution.pk}/log/").json()["lines"]
    assert lines[0]["text"].startswith("\x1b[31mred\x1b[0m")
    assert len(lines[1]["text"]) < 5000


@pytest.mark.django_db(transaction=True)
async def test_the_whole_log_is_one_text(async_client: AsyncClient) -> None:
    user = await sync_to_async(User.objects.create_user)("mira", password="p")
    await async_client.aforce_login(user)
    execution = await sync_to_async(with_log)(*(f"line {n}" for n in range(1, 5203)))
    response = await async_client.get(f"/executions/{execution.pk}/log.txt")
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    text = b"".join([part async for part in response.streaming_content]).decode()  # type: ignore[attr-defined]
    await sync_to_async(connections.close_all)()
    assert [line.rpartition(" ")[2] for line in text.splitlines()] == [str(n) for n in range(1, 5203)]


# Live


def test_the_parts_that_change_come_each_by_its_id(mine: Client) -> None:
    execution = make_execution(state=State.RUNNING)
    parts = read(mine.get(f"/executions/{execution.pk}/live/").content)
    roots = [found.marks["id"] for found in parts.inside if len(found.within) == 1]
    assert {"hero", "asked", "time", "timeline", "events"} <= set(roots)
    assert len(roots) == len(set(roots))
    whole = page(mine, execution)
    assert all(whole.one(id=root) for root in roots)


def test_the_page_knows_where_news_come_from(mine: Client) -> None:
    execution = make_execution()
    marks = page(mine, execution).one(id="exec").marks
    assert marks["data-socket"] == f"/ws/executions/{execution.pk}/"
    assert marks["data-poll"] == f"/executions/{execution.pk}/changes/"
    assert marks["data-since"].endswith("Z")


# Cancel


def test_cancelling_asks_first_and_then_stops(mine: Client) -> None:
    execution = make_execution()
    assert "for good" in mine.get(f"/executions/{execution.pk}/cancel/").content.decode()
    execution.refresh_from_db()
    assert execution.state == State.PENDING
    response = mine.post(f"/executions/{execution.pk}/cancel/", {"reason": "wrong version"})
    assert response.status_code == 302
    assert response["Location"] == f"/executions/{execution.pk}/"
    execution.refresh_from_db()
    assert execution.state == State.CANCELLED
    event = execution.events.get(kind="cancelled")
    assert (event.actor, event.reason) == ("user:mira", "wrong version")


def test_what_has_ended_refuses_to_be_cancelled_and_says_why(mine: Client) -> None:
    execution = make_execution(state=State.COMPLETED)
    response = mine.post(f"/executions/{execution.pk}/cancel/")
    assert response.status_code == 409
    alert = read(response.content).one(id="refused")
    assert "what has ended is final" in alert.text
    assert not read(response.content).all(popovertarget="stop")


def test_a_cancel_without_its_token_is_refused(mira: User) -> None:
    careful = Client(enforce_csrf_checks=True)
    careful.force_login(mira)
    execution = make_execution()
    assert careful.post(f"/executions/{execution.pk}/cancel/").status_code == 403
    execution.refresh_from_db()
    assert execution.state == State.PENDING


def test_a_deadline_says_what_happens_then(mine: Client) -> None:
    execution = make_execution()
    claim = claim_for(execution)
    begin(claim)
    now = timezone.now()
    asked = a_question(deadline=now + timedelta(minutes=9), default="no", has_default=True)
    transitions.ask(claim, asked=asked, now=now)
    told = page(mine, execution).one(id="asked").text
    assert "it answers itself with No" in told


def test_what_differs_because_it_succeeded_is_no_error(mine: Client) -> None:
    execution = make_execution(make_task(retry={"max_retries": 2, "retry_interval": 0, "jitter": 0}))
    for _ in range(2):
        claim = claim_for(execution)
        begin(claim)
        transitions.fail(claim, category=Category.ERROR, error=an_error("Busy", retryable=True), now=timezone.now())
    bring(execution, State.COMPLETED)
    odd = [
        found
        for found in page(mine, execution).one(id="attempts").inside
        if found.marks.get("class", "").startswith("is-odd")
    ]
    assert {found.text for found in odd} == {"completed", "–"}
    assert {found.marks["class"] for found in odd} == {"is-odd is-good"}


# Its family


def test_children_stand_on_their_parents_page_and_name_it_on_theirs(mine: Client) -> None:
    parent, children = with_children(2)
    section = page(mine, parent).one(id="children")
    assert [link.marks["href"] for link in section.tagged("a")] == [f"/executions/{child.pk}/" for child in children]
    assert "helper" in section.text
    assert f"Started by {parent}" in page(mine, children[0]).one(id="hero").text
    assert "hidden" in page(mine, children[0]).one(id="children").marks


def test_checkpoints_and_what_an_earlier_run_recorded_are_told_apart(mine: Client) -> None:
    old, _ = recorded()
    again = transitions.Again(resume=True)
    new = transitions.rerun(old.pk, again=again, now=timezone.now(), actor="user:mira")
    steps = page(mine, new).one(id="steps")
    assert steps.one(aria_label="Checkpoint")
    assert steps.text.count("earlier run") == 3


@pytest.mark.parametrize("make", [sleeping, awaiting, paused])
def test_what_it_waits_for_stands_in_the_header(mine: Client, make: Callable[[], Execution]) -> None:
    assert page(mine, make()).one(id="hero").one(data_reason=None).text


def test_a_page_with_everything_on_it_is_still_bounded(
    mine: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    parent, _ = with_children(3)
    transitions.terminate(parent.pk, now=timezone.now(), actor="user:mira", reason="x")
    transitions.rerun(parent.pk, again=transitions.Again(), now=timezone.now(), actor="user:mira")
    with django_assert_max_num_queries(MOST_QUERIES):
        page(mine, parent)
