"""The admin: everything can be looked at and found, nothing can be changed, and its actions call the verbs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from executions import schedules, transitions
from executions.models import Attempt, Event, Execution, Firing, LogChunk, Question, Signal, Step, Wait, Worker
from executions.states import State
from tasks import access
from tasks.models import Plan, Queue, Schedule, Task, TaskVersion, Token
from tests.executions.lives import awaiting
from tests.make import begin, bring, claim_for, make_execution, make_plan, make_schedule, make_task

pytestmark = pytest.mark.django_db

OURS = [model for model in admin.site._registry if model.__module__.startswith(("tasks", "executions"))]
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def look(boss: User) -> Client:
    client = Client()
    client.force_login(boss)
    return client


@pytest.fixture
def rows(boss: User) -> dict[type[Model], Model]:
    """One row of everything that the admin shows."""
    access.issue(name="ci", user="boss")
    task = make_task("greet", title=HOSTILE)
    plan = make_plan(task, input={"a": HOSTILE})
    transitions.enlist(
        "w1", host="here", pid=7, slots=4, queues=["default"], labels={}, offers=["python"], sandbox="bwrap",
        sandbox_problem="", now=timezone.now(),
    )  # fmt: skip
    execution = make_execution(task, input={"x": HOSTILE}, plan=plan)
    claim = claim_for(execution)
    begin(claim)
    lines = [(time.time(), "stdout", "info", f"line {n} {HOSTILE} \x1b[31m") for n in range(3)]
    transitions.log(claim, lines=lines, message=None, now=timezone.now())
    transitions.step(claim, key="s", occurrence=0, input_hash="", value=HOSTILE, seconds=1, now=timezone.now())
    waiting = make_execution(task)
    bring(waiting, State.WAITING)
    transitions.signal(awaiting(HOSTILE).pk, name=HOSTILE, value=HOSTILE, now=timezone.now(), actor="user:mira")
    make_schedule(task=task, input={"x": HOSTILE}, every=60, now=timezone.now() - timedelta(minutes=1))
    schedules.fire_due(timezone.now())
    return {model: model._default_manager.all()[0] for model in OURS}


def address(model: type[Model], page: str, *args: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def test_the_admin_shows_every_room() -> None:
    of_tasks = {Queue, Task, TaskVersion, Plan, Schedule, Token}
    shown = of_tasks | {Execution, Event, Firing, LogChunk, Attempt, Step, Question, Signal, Wait, Worker}
    assert set(OURS) == shown


def test_everything_can_be_looked_at_and_nothing_changed(look: Client, rows: dict[type[Model], Model]) -> None:
    for model, row in rows.items():
        for url in (address(model, "changelist"), address(model, "change", row.pk)):
            page = look.get(url)
            assert page.status_code == 200, url
            assert HOSTILE not in page.content.decode()
        assert look.post(address(model, "change", row.pk), {"state": "completed"}).status_code == 403
        assert look.post(address(model, "delete", row.pk), {"post": "yes"}).status_code == 403
        assert look.get(address(model, "add")).status_code == (200 if model is Queue else 403)


@pytest.mark.parametrize("number", ["9223372036854775808", "99999999999999999999999"])
def test_a_number_that_no_row_can_have_is_no_fault_of_ours(look: Client, number: str) -> None:
    for address in (
        f"/admin/executions/execution/?task={number}",
        f"/admin/executions/event/?execution__number={number}",
    ):
        assert look.get(address, follow=True).status_code in {200, 400}


def test_a_queue_can_be_added(look: Client) -> None:
    assert look.post(address(Queue, "add"), {"name": "fast", "description": ""}).status_code == 302
    assert Queue.objects.get().name == "fast"


@pytest.mark.parametrize("who", ["", "mira"])
def test_only_admins_look(mira: User, rows: dict[type[Model], Model], who: str) -> None:
    client = Client()
    if who:
        client.force_login(mira)
    for model, row in rows.items():
        for url in (address(model, "changelist"), address(model, "change", row.pk)):
            assert client.get(url).status_code == 302


def test_staff_who_are_no_superusers_look_too(mira: User, rows: dict[type[Model], Model]) -> None:
    User.objects.filter(pk=mira.pk).update(is_staff=True)
    client = Client()
    client.force_login(User.objects.get(pk=mira.pk))
    assert client.get(address(Execution, "changelist")).status_code == 200
    assert client.get("/admin/").content.count(b"/admin/executions/execution/") > 0


def test_the_page_of_an_execution_leads_to_what_belongs_to_it(look: Client, rows: dict[type[Model], Model]) -> None:
    execution = Execution.objects.get(plan__isnull=False)
    page = look.get(address(Execution, "change", execution.pk)).content.decode()
    for model in (Event, LogChunk, Attempt, Step, Question):
        url = f"{address(model, 'changelist')}?execution__id__exact={execution.pk}"
        assert url in page
        assert look.get(url).context["cl"].result_count == model._default_manager.filter(execution=execution).count()
    for other in (execution.task, execution.task_version, execution.plan):
        assert other is not None
        assert address(type(other), "change", other.pk) in page
    assert f"/executions/{execution.pk}/" in page


def test_log_lines_are_decoded(look: Client, rows: dict[type[Model], Model]) -> None:
    page = look.get(address(LogChunk, "change", rows[LogChunk].pk)).content.decode()
    assert "line 2 &lt;script&gt;" in page


def test_an_execution_is_found_by_id_number_and_title(look: Client) -> None:
    make_task("greet")
    wanted, other = make_execution(title="Import of May"), make_execution(title="Import of June")
    for words in (str(wanted.pk), f"EX-{wanted.number}", str(wanted.number), "of may", "  of May "):
        found = look.get(address(Execution, "changelist"), {"q": words}).context["cl"]
        assert [row.pk for row in found.result_list] == [wanted.pk], words
    events = look.get(address(Event, "changelist"), {"q": str(other.pk)}).context["cl"]
    assert {row.execution_id for row in events.result_list} == {other.pk}
    assert look.get(address(Execution, "changelist"), {"q": "\x00"}).status_code == 200


def filters() -> Iterator[tuple[type[Model], dict[str, str]]]:
    yield Execution, {"state": "pending", "priority": "normal"}
    yield Execution, {"state": "nonsense"}
    yield Execution, {"task__id__exact": "1", "created_at__gte": "2024-01-01 00:00:00+00:00"}
    yield Event, {"kind": "submitted"}
    yield Event, {"execution__id__exact": "nonsense"}
    yield Attempt, {"outcome": "lost"}
    yield Question, {"state__exact": "open", "kind": "choice"}
    yield Plan, {"state__exact": "planned"}
    yield Task, {"archived_at__isempty": "1"}
    yield Token, {"revoked_at__isempty": "1"}
    yield TaskVersion, {"kind": "script", "priority": "high"}
    yield Worker, {"state__exact": "ready"}


@pytest.mark.parametrize(("model", "query"), list(filters()))
def test_lists_are_filtered(
    look: Client, rows: dict[type[Model], Model], model: type[Model], query: dict[str, str]
) -> None:
    assert look.get(address(model, "changelist"), query).status_code in (200, 302)


def test_a_list_costs_the_same_for_many_rows(look: Client, rows: dict[type[Model], Model]) -> None:
    for model in (Execution, Event, Attempt, Question, Plan, TaskVersion, Task):
        url = address(model, "changelist")
        look.get(url)
        with CaptureQueriesContext(connection) as before:
            look.get(url)
        for n in range(3):
            task = make_task(f"task-{model.__name__.lower()}-{n}", queue=f"q-{model.__name__.lower()}-{n}")
            make_plan(task)
            make_execution(task, state=State.WAITING)
        with CaptureQueriesContext(connection) as after:
            look.get(url)
        assert len(after) <= len(before), model


def test_a_list_reads_nothing_bulky(look: Client, rows: dict[type[Model], Model]) -> None:
    with CaptureQueriesContext(connection) as asked:
        for model in (Execution, LogChunk, TaskVersion, Event):
            look.get(address(model, "changelist"))
    sql = " ".join(query["sql"] for query in asked)
    for column in ('"input"', '"output"', '"body"', '"source"'):
        assert column not in sql


def test_cancel_calls_the_verb_and_tells_who_was_refused(look: Client, boss: User) -> None:
    make_task("greet")
    done, pending, running = (make_execution(state=state) for state in (State.COMPLETED, State.RUNNING, State.PENDING))
    chosen = {"action": "cancel", "_selected_action": [str(row.pk) for row in (done, pending, running)]}
    page = look.post(address(Execution, "changelist"), chosen, follow=True)
    told = [str(message) for message in page.context["messages"]]
    assert told[0] == "2 told to stop."
    assert "1 refused" in told[1]
    assert "has ended" in told[1]
    states = list(Execution.objects.order_by("number").values_list("state", flat=True))
    assert states == [State.COMPLETED, State.CANCELLING, State.CANCELLED]
    assert Event.objects.get(kind="cancelled").actor == "user:boss"


def test_a_revoked_token_is_refused_at_once(look: Client, boss: User) -> None:
    secret = access.issue(name="ci", user="boss")
    token = Token.objects.get()
    page = look.get(address(Token, "change", token.pk)).content.decode()
    assert token.digest not in page
    look.post(address(Token, "changelist"), {"action": "revoke", "_selected_action": [token.pk]})
    assert access.authenticate(secret, now=timezone.now()) is None
