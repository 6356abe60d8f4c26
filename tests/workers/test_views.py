"""The page of workers and queues."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from executions import transitions
from executions.states import State
from tasks.models import Queue
from tests.executions.board.marks import Element, read
from tests.make import make_execution

pytestmark = pytest.mark.django_db


@pytest.fixture
def mine(client: Client, mira: User) -> Client:
    """Mira's browser."""
    client.force_login(mira)
    return client


def page(client: Client) -> Element:
    response = client.get("/workers/")
    assert response.status_code == 200
    return read(response.content)


def enlist(
    name: str = "w1", *, slots: int = 3, seconds_ago: float = 0, sandbox: str = "bwrap", problem: str = ""
) -> int:
    return transitions.enlist(
        name,
        host="h",
        pid=1,
        slots=slots,
        queues=["default"],
        labels={"cuda": "12"},
        offers=["python"],
        sandbox=sandbox,
        sandbox_problem=problem,
        now=timezone.now() - timedelta(seconds=seconds_ago),
    )


def test_before_anybody_came_it_says_what_to_do(mine: Client) -> None:
    assert "manage.py worker" in page(mine).text


def test_a_worker_shows_its_slots_and_what_runs_in_them(mine: Client) -> None:
    enlist()
    execution = make_execution(state=State.RUNNING)
    worker = page(mine).one(id="worker-w1")
    slots = [
        found
        for found in worker.inside
        if found.marks.get("class", "").startswith("slot ") or found.marks.get("class") == "slot"
    ]
    assert [found.tag for found in slots] == ["a", "span", "span"]
    assert slots[0].marks["href"] == f"/executions/{execution.pk}/"
    assert str(execution) in slots[0].text
    for told in ("working", "default", "cuda=12", "free", "sandbox bwrap"):
        assert told in worker.text


def test_a_lost_worker_a_draining_and_a_stopped_one_say_so(mine: Client) -> None:
    enlist("lost", seconds_ago=settings.LEASE.total_seconds() + 60)
    draining = enlist("draining")
    transitions.drain("draining", incarnation=draining, now=timezone.now())
    stopped = enlist("stopped")
    transitions.retire("stopped", incarnation=stopped, now=timezone.now())
    shown = page(mine)
    assert "No heartbeat since" in shown.one(id="worker-lost").text
    assert "takes nothing new" in shown.one(id="worker-draining").text
    assert "stopped" in shown.one(id="worker-stopped").text
    assert "1 worker lost" in shown.text


def test_a_worker_without_a_sandbox_says_why_and_what_mends_it(mine: Client) -> None:
    enlist(sandbox="", problem="bubblewrap is missing: apt-get install bubblewrap")
    shown = page(mine)
    assert "apt-get install bubblewrap" in shown.one(id="worker-w1").text
    assert "Sandboxed tasks cannot run on w1" in shown.text


def test_queues_show_what_works_and_what_waits(mine: Client) -> None:
    enlist(slots=4)
    make_execution(state=State.RUNNING)
    make_execution()
    row = next(found for found in page(mine).tagged("tr") if "default" in found.text)
    assert row.one(data_l="Working / slots").text.startswith("1 / 4")
    assert row.one(data_l="Waiting").text == "1"
    assert row.one(data_l="Oldest waiting").text != "none waits"


def test_nobody_sees_workers_without_signing_in(client: Client) -> None:
    assert client.get("/workers/").status_code == 302


def test_slots_at_work_are_not_free(mine: Client) -> None:
    enlist(slots=4)
    make_execution(state=State.RUNNING)
    told = page(mine).text
    assert "1 at work" in told
    assert "3 free slots" in told


class TestQueues:
    @pytest.fixture
    def theirs(self, client: Client, boss: User) -> Client:
        """The admin's browser."""
        client.force_login(boss)
        return client

    def test_an_admin_pauses_a_queue_and_lets_it_go_on(self, theirs: Client) -> None:
        make_execution()
        assert theirs.post("/workers/queues/default/pause/").status_code == 302
        assert "paused by boss" in page(theirs).one(id="queue-default").text
        theirs.post("/workers/queues/default/resume/")
        assert "paused" not in page(theirs).one(id="queue-default").text

    def test_an_admin_sets_a_limit_and_lifts_it(self, theirs: Client) -> None:
        make_execution()
        for asked, kept in (("3", 3), ("", None)):
            theirs.post("/workers/queues/default/limit/", {"limit": asked})
            assert Queue.objects.get().limit == kept
        for wrong in ("0", "-1", "many", "99999999"):
            assert theirs.post("/workers/queues/default/limit/", {"limit": wrong}).status_code == 400

    def test_others_see_it_and_change_nothing(self, mine: Client) -> None:
        make_execution()
        Queue.objects.update(limit=7, paused_at=timezone.now(), paused_by="user:boss")
        told = page(mine).one(id="queue-default").text
        assert "7" in told
        assert "Resume" not in told
        assert mine.post("/workers/queues/default/resume/").status_code == 403
        assert Queue.objects.get().is_paused

    def test_an_unknown_queue_is_not_there(self, theirs: Client) -> None:
        assert theirs.post("/workers/queues/nowhere/pause/").status_code == 404
