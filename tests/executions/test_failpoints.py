"""Where a house may be broken on purpose, and that no other house can be."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import OperationalError

from config.env import SCRATCH_MARK
from executions import failpoints
from executions.failpoints import Failpoint, read
from tests.services import ROOT


def started(home: Path) -> subprocess.CompletedProcess[str]:
    """A house's command, with a failpoint set."""
    environment = {**os.environ, "RUNBOARD_HOME": str(home), "FAILPOINT": "before_any_commit"}
    environment["DJANGO_SETTINGS_MODULE"] = "config.settings"
    command = [sys.executable, "manage.py", "check"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def test_a_house_that_was_not_made_to_be_broken_refuses_to_start(tmp_path: Path) -> None:
    refused = started(tmp_path)
    assert refused.returncode == 1
    assert "not one made for that: unset FAILPOINT" in refused.stderr


def test_a_house_that_was_made_to_be_broken_starts(tmp_path: Path) -> None:
    (tmp_path / SCRATCH_MARK).touch()
    assert started(tmp_path).returncode == 0


def test_nothing_is_armed_unless_it_is_asked_for() -> None:
    assert failpoints.ARMED is None


@pytest.mark.parametrize(
    ("text", "point"),
    [
        ("", None),
        ("before_spawn", Failpoint("before_spawn")),
        ("before_claim_commit:3", Failpoint("before_claim_commit", nth=3)),
        ("after_any_commit:0.05=ambiguous", Failpoint("after_any_commit", chance=0.05, action="ambiguous")),
    ],
)
def test_a_failpoint_is_a_place_a_count_or_chance_and_an_action(text: str, point: Failpoint | None) -> None:
    found = read(text)
    assert (found and (found.name, found.nth, found.chance, found.action)) == (
        point and (point.name, point.nth, point.chance, point.action)
    )


def test_an_action_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="none of kill, ambiguous, stop"):
        read("before_spawn=explode")


def test_it_is_met_at_its_count_and_not_again() -> None:
    point = Failpoint("before_spawn", nth=2)
    assert [point.meets("before_spawn") for _ in range(4)] == [False, True, False, False]
    assert not point.meets("after_hello")


@pytest.mark.django_db(transaction=True)
def test_an_ambiguous_commit_is_done_and_not_heard_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failpoints, "ARMED", Failpoint("after_start_commit", action="ambiguous"))
    failpoints.before_commit("start", None)
    with pytest.raises(OperationalError, match="before the answer came"):
        failpoints.after_commit("start", None)


def test_a_claim_of_nothing_passes_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    point = Failpoint("before_claim_commit", nth=99)
    monkeypatch.setattr(failpoints, "ARMED", point)
    failpoints.before_commit("claim", [])
    failpoints.before_commit("claim", ["one"])
    assert point.passed == 1
