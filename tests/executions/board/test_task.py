"""A task's page: its policies in sentences, its versions, its last runs; and the library."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from executions.models import Execution
from executions.states import State
from tasks import manifest
from tasks.models import Task
from tests.executions.board.marks import Element, read
from tests.make import SOURCE, make_execution, make_task

pytestmark = pytest.mark.django_db

HOSTILE = "<img src=x onerror=alert(1) hx-get=/evil>"


@pytest.fixture
def mine(client: Client, mira: User) -> Client:
    """Mira's browser."""
    client.force_login(mira)
    return client


def page(client: Client, address: str = "/tasks/greet/") -> Element:
    response = client.get(address)
    assert response.status_code == 200
    return read(response.content)


def test_it_says_what_the_task_does_and_takes(mine: Client) -> None:
    make_task(
        description="Says hello.", agent="coder", environment="production", labels=["crm"],
        input_schema={"type": "object", "properties": {"who": {"type": "string", "title": "Whom"}}, "required": ["who"]},
    )  # fmt: skip
    told = page(mine).text
    for part in ("Greet", "Says hello.", "coder", "production", "crm", "Whom", "text, required", "Python"):
        assert part in told


def test_policies_are_sentences(mine: Client) -> None:
    make_task(
        retry={"max_retries": 2, "retry_interval": 30, "jitter": 0}, limits={"timeout_seconds": 7200, "memory": "256Mi"}
    )
    told = page(mine).text
    assert "Tries again 2 times after errors its author calls retryable: after 30 s and 1 min." in told
    assert "2 h an attempt" in told
    assert "256 MiB memory" in told
    assert "Security medium: in a sandbox" in told


def test_limits_are_policies_where_there_are_any(mine: Client) -> None:
    make_task("free")
    make_task(
        "limited",
        concurrency={"limit": 2, "key": "customer.id", "on_conflict": "skip"},
        rate={"limit": 9, "per_seconds": 60},
    )
    assert "How many at once" not in page(mine, "/tasks/free/").text
    told = page(mine, "/tasks/limited/").text
    assert "2 for each customer.id; one more is cancelled at once." in told
    assert "At most 9 begin in any 1 min." in told


def test_a_task_that_is_never_tried_again_says_so(mine: Client) -> None:
    make_task(retry={"max_retries": 0})
    assert "It is not tried again." in page(mine).text


def test_versions_show_what_changed(mine: Client) -> None:
    task = make_task()
    changed = {**manifest.document(task.latest), "source": SOURCE + "# the end\n"}  # type: ignore[arg-type]
    manifest.add_version(task, changed, now=timezone.now(), by="user:mira")
    diff = next(found for found in page(mine).inside if found.marks.get("class") == "diff")
    assert [line.text for line in diff.all(**{"class": "add"})] == ["7+# the end"]
    assert "by mira" in page(mine).text
    first = page(mine, "/tasks/greet/?version=1")
    assert "# the end" not in first.text
    assert mine.get("/tasks/greet/?version=9").status_code == 404
    assert mine.get("/tasks/greet/?version=x").status_code == 404


def test_the_last_runs_stand_beside_it(mine: Client) -> None:
    done, waiting = make_execution(state=State.COMPLETED), make_execution(state=State.WAITING)
    told = page(mine).text
    assert f"{done}, completed" in told
    assert f"{waiting}, waiting for an answer" in told
    assert "usually" in told


def test_a_registered_action_and_an_archived_task_have_pages_too(mine: Client) -> None:
    make_task("ping", kind="action", handler="tests.ping")
    assert "action tests.ping" in page(mine, "/tasks/ping/").text
    Task.objects.filter(slug="ping").update(archived_at=timezone.now())
    shown = page(mine, "/tasks/ping/")
    assert "archived" in shown.text
    assert not [link for link in shown.tagged("a") if link.marks.get("href") == "/tasks/ping/run/"]
    assert mine.get("/tasks/ping/run/").status_code == 404


def test_what_an_author_wrote_is_text(mine: Client) -> None:
    make_task(
        title=HOSTILE, description=HOSTILE, source=HOSTILE, labels=[HOSTILE],
        input_schema={"type": "object", "properties": {HOSTILE: {"title": HOSTILE, "description": HOSTILE, "enum": [HOSTILE]}}},
    )  # fmt: skip
    for address in ("/tasks/greet/", "/tasks/greet/run/", "/tasks/"):
        shown = page(mine, address)
        assert HOSTILE in shown.text
        assert not [found for found in shown.inside if "onerror" in found.marks or "/evil" in found.marks.values()]


def test_the_library_holds_what_can_run_and_is_searched(mine: Client) -> None:
    make_task("one", title="First of all", description="Counts.")
    make_task("two", title="Second")
    gone = make_task("three", title="Third")
    Task.objects.filter(pk=gone.pk).update(archived_at=timezone.now())
    told = page(mine, "/tasks/").text
    assert "First of all" in told
    assert "Second" in told
    assert "Third" not in told
    assert "Second" not in page(mine, "/tasks/?q=counts").text
    assert "No task matches" in page(mine, "/tasks/?q=nothing").text


def test_what_people_took_is_not_what_it_usually_takes(mine: Client) -> None:
    done = make_execution(state=State.COMPLETED)
    begin = done.created_at
    done.attempts.update(started_at=begin, finished_at=begin + timedelta(seconds=7))
    again = done.attempts.get()
    again.pk, again.number = None, 2
    again.started_at, again.finished_at = begin + timedelta(minutes=5), begin + timedelta(minutes=5, seconds=4)
    again.save()
    Execution.objects.filter(pk=done.pk).update(finished_at=again.finished_at)
    assert "usually 11 s" in page(mine).text
