"""verify_history and prune as an operator runs them, and what they say."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from executions import transitions
from executions.history import Upkeep, anchors, pruning
from executions.models import Anchor, Event, Execution, LogChunk, Tombstone
from executions.states import State
from executions.transitions import Again
from tasks import append_only
from tests.executions import histories
from tests.make import make_execution

pytestmark = pytest.mark.django_db

LATER = timedelta(days=100)


def verify(*args: str, fails: bool = False) -> list[str]:
    """What it prints, line by line; `fails` where its exit code must be 1."""
    out = io.StringIO()
    if fails:
        with pytest.raises(SystemExit) as ended:
            call_command("verify_history", *args, stdout=out)
        assert ended.value.code == 1
    else:
        call_command("verify_history", *args, stdout=out)
    return out.getvalue().splitlines()


def prune(*args: str) -> str:
    out = io.StringIO()
    call_command("prune", *args, stdout=out, stderr=out)
    return out.getvalue().strip()


def forge(execution: Execution, *, seq: int, **changes: Any) -> None:
    with append_only.lifted():
        Event.objects.filter(execution=execution, seq=seq).update(**changes)


class TestVerify:
    def test_an_empty_database_has_nothing_to_verify(self) -> None:
        assert "nothing to verify" in verify()[0]

    def test_what_is_whole_is_said_to_be_whole(self) -> None:
        make_execution(state=State.COMPLETED)
        assert verify()[0].startswith("Verified 1 execution, 4 events, 0 anchors and 0 tombstones: nothing is wrong.")

    def test_a_finding_names_the_execution_and_the_event(self) -> None:
        execution = make_execution(state=State.COMPLETED)
        forge(execution, seq=2, actor="user:eve")
        finding, closing = verify(fails=True)
        assert finding == f"EX-{execution.number} {execution.pk} event 2: it is not what was sealed"
        assert "1 finding." in closing

    def test_findings_are_told_as_json(self) -> None:
        execution = make_execution(state=State.COMPLETED)
        Execution.objects.filter(pk=execution.pk).update(output='{"done": false}')
        finding, closing = (json.loads(line) for line in verify("--json", fails=True))
        assert finding["execution"] == str(execution.pk)
        assert "output" in finding["message"]
        assert (closing["verified"]["executions"], closing["findings"]) == (1, 1)

    def test_one_execution_may_be_verified_alone(self) -> None:
        sound, forged = make_execution(state=State.COMPLETED), make_execution(state=State.COMPLETED)
        forge(forged, seq=1, reason="forged")
        assert "nothing is wrong" in verify("--execution", str(sound.pk))[0]
        assert "event 1" in verify("--execution", f"EX-{forged.number}", fails=True)[0]

    @pytest.mark.parametrize("said", ["EX-4711", "what", "00000000-0000-4000-8000-000000000000"])
    def test_an_unknown_execution_is_named(self, said: str) -> None:
        with pytest.raises(CommandError, match=said):
            verify("--execution", said)

    def test_only_what_changed_since_a_day(self) -> None:
        make_execution()
        assert "Verified 1 execution" in verify("--since", "2020-01-01")[0]
        assert "nothing to verify" in verify("--since", "2999-01-01T00:00:00Z")[0]
        with pytest.raises(CommandError, match="no day"):
            verify("--since", "yesterday")

    def test_a_missing_key_is_named_once(self, settings: Settings) -> None:
        make_execution(state=State.COMPLETED)
        settings.SECRET_KEYS = ("another key of at least thirty-two letters",)
        finding, _ = verify(fails=True)
        assert finding.startswith("the key that sealed these events (id ")
        assert finding.endswith(") is not among RUNBOARD_SECRET_KEYS")

    def test_what_an_old_key_sealed_still_verifies(self, settings: Settings) -> None:
        execution = make_execution(state=State.RUNNING)
        settings.SECRET_KEYS = ("a new key of at least thirty-two letters", *settings.SECRET_KEYS)
        transitions.cancel(execution.pk, now=timezone.now(), actor="user:mira")
        assert "nothing is wrong" in verify()[0]
        assert len({seal.partition(".")[0] for seal in Event.objects.values_list("hash", flat=True)}) == 2

    def test_what_cannot_even_be_read_is_a_finding(self) -> None:
        if connection.vendor == "postgresql":
            return  # its columns hold nothing but their type
        sound, broken = make_execution(state=State.COMPLETED), make_execution(state=State.COMPLETED)
        with append_only.lifted(), connection.cursor() as cursor:
            cursor.execute(
                "UPDATE executions_event SET at = '2026-99-99 00:00:00' WHERE execution_id = %s", [broken.pk.hex]
            )
        found = verify(fails=True)
        assert any(str(broken.pk) in line for line in found)
        assert not any(str(sound.pk) in line for line in found)


class TestAnchors:
    def test_one_a_day_is_enough(self) -> None:
        now = timezone.now()
        assert anchors.is_due(now)
        anchors.make(now)
        assert not anchors.is_due(now)
        assert anchors.is_due(now + timedelta(days=1))

    def test_two_at_once_make_one(self) -> None:
        first = anchors.make(timezone.now())
        with append_only.lifted():  # as if the second had looked before the first committed
            Anchor.objects.filter(pk=first[0].pk).update(previous="")
        with pytest.raises(Exception, match=r"(?i)unique"):
            anchors.write(Anchor.Kind.HEADS, [], since=None, until=timezone.now(), previous=None)

    def test_many_executions_make_several_parts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for _ in range(5):
            make_execution()
        monkeypatch.setattr(anchors, "PART", 2)
        made = anchors.make(timezone.now())
        assert [len(anchor.entries.splitlines()) for anchor in made] == [2, 2, 1]
        assert "3 anchors" in verify()[0]

    def test_an_execution_that_vanished_is_found(self) -> None:
        execution = make_execution(state=State.COMPLETED)
        verify("--anchor")
        with append_only.lifted():
            for part in pruning.PARTS:
                part._default_manager.filter(execution=execution).delete()
            execution.delete()
        assert "vanished without a tombstone" in verify(fails=True)[0]

    def test_the_database_refuses_to_change_one(self) -> None:
        anchors.make(timezone.now())
        with pytest.raises(Exception, match="append-only"):
            Anchor.objects.update(entries="")


class TestPrune:
    def test_what_is_old_goes_and_leaves_a_signed_tombstone(self) -> None:
        execution = make_execution(state=State.COMPLETED)
        head = Event.objects.get(execution=execution, seq=4).hash
        assert prune("--older-than", "0d").startswith("Pruned 1 execution")
        stone = Tombstone.objects.get()
        assert (stone.pk, stone.number, stone.state, stone.last_seq) == (execution.pk, execution.number, "completed", 4)
        assert (stone.head, stone.task, stone.why) == (head, "greet", "prune --older-than 0d")
        assert not Execution.objects.exists()
        assert "0 executions, 0 events, 1 anchor and 1 tombstone: nothing is wrong" in verify()[0]

    def test_every_kind_of_history_can_go(self) -> None:
        histories.varied()
        ended = Execution.objects.filter(finished_at__isnull=False).count()
        prune("--older-than", "0d")
        left = Execution.objects.filter(finished_at__isnull=False)
        assert Tombstone.objects.count() + left.count() == ended
        assert all(row.reruns.exists() or row.rerun_of_id for row in left), "only what belongs to something alive stays"
        assert "nothing is wrong" in verify()[0]

    def test_a_dry_run_changes_nothing(self) -> None:
        make_execution(state=State.COMPLETED)
        assert prune("--older-than", "0d", "--dry-run") == "Would prune 1 execution."
        assert Execution.objects.count() == 1
        assert not Tombstone.objects.exists()

    def test_what_is_young_or_alive_stays(self) -> None:
        make_execution(state=State.COMPLETED)
        make_execution(state=State.RUNNING)
        assert prune() == "Nothing is old enough to go."
        assert prune("--older-than", "1h") == "Nothing is old enough to go."

    def test_zero_days_keep_everything(self, settings: Settings) -> None:
        settings.RETENTION = timedelta()
        make_execution(state=State.COMPLETED)
        assert "everything is kept" in prune()

    @pytest.mark.parametrize("said", ["soon", "-3d", "3y", ""])
    def test_an_age_that_is_none_is_refused(self, said: str) -> None:
        with pytest.raises(CommandError, match="no age"):
            prune(f"--older-than={said}")

    def test_a_run_stays_while_a_later_run_of_it_is_alive(self) -> None:
        execution = make_execution(state=State.FAILED)
        again = transitions.rerun(execution.pk, again=Again(), now=timezone.now(), actor="user:mira")
        assert prune("--older-than", "0d") == "Nothing is old enough to go."
        transitions.cancel(again.pk, now=timezone.now(), actor="user:mira")
        assert prune("--older-than", "0d").startswith("Pruned 2 executions")

    def test_a_child_stays_while_its_parent_is_alive(self) -> None:
        histories.children()
        parent = Execution.objects.get(parent=None)
        assert parent.finished_at is not None
        assert list(pruning.old(before=parent.finished_at)) == []
        assert prune("--older-than", "0d").startswith("Pruned 3 executions")

    def test_what_does_not_verify_is_kept_as_evidence(self) -> None:
        execution = make_execution(state=State.COMPLETED)
        forge(execution, seq=2, reason="forged")
        told = prune("--older-than", "0d")
        assert f"{execution.pk} is kept" in told
        assert "Kept 1" in told
        assert "Pruned 1" in prune("--older-than", "0d", "--unverified")
        assert "did not verify" in Tombstone.objects.get().why

    def test_every_table_of_an_execution_is_emptied(self) -> None:
        pointing = {
            relation.related_model
            for relation in Execution._meta.related_objects
            if relation.related_model is not Execution
        }
        assert pointing == set(pruning.PARTS)

    def test_a_forged_or_moved_tombstone_is_found(self) -> None:
        make_execution(state=State.COMPLETED)
        prune("--older-than", "0d")
        with append_only.lifted():
            Tombstone.objects.update(state="failed")
        assert "tombstone is not what was signed" in verify(fails=True)[0]


class TestUpkeep:
    def test_the_scheduler_anchors_once_and_prunes(self) -> None:
        make_execution(state=State.COMPLETED)
        upkeep, now = Upkeep(), timezone.now()
        upkeep.tick(now)
        upkeep.tick(now + timedelta(seconds=2))
        assert (Anchor.objects.count(), Tombstone.objects.count()) == (1, 0)
        upkeep.tick(now + LATER)
        assert (Anchor.objects.count(), Tombstone.objects.count()) == (2, 1)
        assert not LogChunk.objects.exists()

    def test_it_looks_at_the_database_once_a_minute(self, django_assert_num_queries: Any) -> None:
        upkeep, now = Upkeep(), timezone.now()
        upkeep.tick(now)
        with django_assert_num_queries(0):
            upkeep.tick(now + timedelta(seconds=59))

    def test_while_something_old_is_left_every_tick_goes_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for _ in range(3):
            make_execution(state=State.COMPLETED)
        monkeypatch.setattr("executions.history.upkeep.PATIENCE", 0.0)
        upkeep, now = Upkeep(), timezone.now() + LATER
        left = []
        for second in range(4):
            upkeep.tick(now + timedelta(seconds=second))
            left.append(Execution.objects.count())
        assert left == [2, 1, 0, 0]

    def test_what_does_not_verify_stays_and_is_told(self, caplog: pytest.LogCaptureFixture) -> None:
        execution = make_execution(state=State.COMPLETED)
        forge(execution, seq=3, actor="user:eve")
        Upkeep().tick(timezone.now() + LATER)
        assert Execution.objects.filter(pk=execution.pk).exists()
        assert "does not verify" in caplog.text
