"""Histories: what the house does is never called wrong, and what is changed behind its back is found."""

from __future__ import annotations

import contextlib
import itertools
import threading
from importlib import import_module

import pytest
from django.apps import apps
from django.db import DatabaseError, connection, connections
from django.db.models import F
from django.utils import timezone

from executions import transitions
from executions.history import pruning
from executions.history.verifying import Verification
from executions.models import Anchor, Event, Execution
from executions.states import State
from executions.transitions import Refused
from tasks import append_only
from tests.executions import histories
from tests.make import make_execution, make_task

pytestmark = pytest.mark.django_db


def wrong() -> list[str]:
    look = Verification()
    return [str(found) for found in look.findings()]


def test_what_the_verbs_write_verifies() -> None:
    rows = histories.varied()
    assert len(rows) >= 40
    assert wrong() == []


def test_two_who_write_at_once_make_one_chain(transactional_db: None) -> None:
    """On PostgreSQL the second waits for the first's commit inside its UPDATE, whose RETURNING does not see its event."""
    execution = histories.new(State.RUNNING)
    at_once = threading.Barrier(4)

    def refuse_many() -> None:
        at_once.wait()
        for _ in range(25):
            with contextlib.suppress(Refused):
                transitions.resume(execution.pk, now=timezone.now(), actor="user:mira")
        connections.close_all()

    threads = [threading.Thread(target=refuse_many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Event.objects.filter(execution=execution, kind="write_refused").count() == 100
    assert wrong() == []


def test_what_is_written_while_it_is_verified_is_no_finding(transactional_db: None) -> None:
    claim = histories.running()
    stop = threading.Event()

    def work() -> None:
        for n in itertools.count():
            transitions.step(claim, key=f"s{n}", occurrence=0, input_hash="", value=n, seconds=0.0, now=timezone.now())
            if stop.is_set():
                break
        transitions.complete(claim, output={"n": 1}, now=timezone.now())
        connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    found = [sentence for _ in range(20) for sentence in wrong()]
    stop.set()
    thread.join()
    assert found == []
    assert wrong() == []


def test_what_retention_removes_while_it_is_verified_is_no_finding() -> None:
    execution = make_execution(state=State.COMPLETED)
    look = Verification()
    batch = next(look._batches())
    assert pruning.prune(execution.pk, why="a test", now=timezone.now())
    assert list(look._look_at(batch)) == []


def test_while_one_lifts_the_refusal_no_other_can_write(transactional_db: None) -> None:
    """SQLite drops the triggers inside the transaction, which already holds the only write lock."""
    execution = make_execution(state=State.COMPLETED)
    lifted, looked, outcome = threading.Event(), threading.Event(), []

    def write() -> None:
        lifted.wait()
        with connection.cursor() as cursor:
            if connection.vendor == "sqlite":
                cursor.execute("PRAGMA busy_timeout = 100")
            try:
                cursor.execute("UPDATE executions_event SET actor = 'eve'")
                outcome.append("written")
            except DatabaseError as error:
                outcome.append(str(error))
        connections.close_all()
        looked.set()

    thread = threading.Thread(target=write)
    thread.start()
    with contextlib.suppress(KeyboardInterrupt), append_only.lifted():
        Event.objects.filter(execution=execution, seq=1).delete()
        lifted.set()
        looked.wait()
        raise KeyboardInterrupt
    thread.join()
    assert "locked" in outcome[0] or "append-only" in outcome[0]
    assert append_only.missing() == []
    assert wrong() == []


class TestUnsealed:
    """What was written before histories were sealed: an anchor made by the migration vouches for it."""

    @pytest.fixture
    def before(self) -> Execution:
        execution = make_execution(state=State.RUNNING)
        with append_only.lifted():
            Event.objects.filter(execution=execution).update(hash="", standing="")
        import_module("executions.migrations.0004_sealed_history").vouch(apps, None)
        return execution

    def test_it_verifies_and_goes_on_sealed(self, before: Execution) -> None:
        transitions.cancel(before.pk, now=timezone.now(), actor="user:mira")
        assert Event.objects.get(execution=before, kind="cancel_requested").hash
        look = Verification()
        assert [str(found) for found in look.findings()] == []
        assert look.tally.unsealed == 1

    @pytest.mark.parametrize("change", [{"actor": "user:eve"}, {"data": "{}"}, {"hash": "x"}])
    def test_a_change_of_it_is_found(self, before: Execution, change: dict[str, str]) -> None:
        with append_only.lifted():
            Event.objects.filter(execution=before, seq=1).update(**change)
        assert "has changed since" in wrong()[0]

    def test_a_blank_seal_of_a_later_event_is_found(self, before: Execution) -> None:
        transitions.cancel(before.pk, now=timezone.now(), actor="user:mira")
        with append_only.lifted():
            Event.objects.filter(execution=before, kind="cancel_requested").update(hash="")
        assert "carries no seal" in wrong()[0]

    def test_a_blank_history_that_no_anchor_vouches_for_is_found(self, before: Execution) -> None:
        forged = histories.new(State.COMPLETED)
        with append_only.lifted():
            Event.objects.filter(execution=forged).update(hash="")
        assert any("carries no seal" in sentence for sentence in wrong())

    def test_an_anchor_that_nobody_signed_vouches_for_nothing(self, before: Execution) -> None:
        with append_only.lifted():
            Anchor.objects.update(entries=F("entries"), until=timezone.now())
        assert any("carries no seal" in sentence for sentence in wrong())
        assert any("is not what was signed" in sentence for sentence in wrong())


def test_the_same_version_of_another_task_is_found() -> None:
    execution, other = make_execution(state=State.COMPLETED), make_task("other").latest
    Execution.objects.filter(pk=execution.pk).update(task_version=other)
    assert "the row says version nothing, its history “1”" in wrong()[0]
