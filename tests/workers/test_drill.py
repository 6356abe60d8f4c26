"""A drill on a running house: it is broken a little, and says what held."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.services import ROOT, House
from workers.drill import SLUG, most_at_once

COUNT = 12
CLAUSES = ["P1", "P3", "P4", "P5", "P6", "P11", "P12", "P15"]


def drill(environment: dict[str, str], *arguments: str, answer: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "manage.py", "drill", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, input=answer, timeout=150)


@pytest.mark.timeout(180)
def test_a_house_that_is_broken_a_little_keeps_every_clause(house: House) -> None:
    worker = house.pid("worker")
    done = drill(house.environment, "--yes", "--json", "--count", str(COUNT))
    held = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(clause["clause"], clause["holds"]) for clause in held] == [(name, True) for name in CLAUSES], done.stderr
    assert (done.returncode, house.is_back("worker", since=worker) != worker) == (0, True)
    status, task = house.api("GET", f"tasks/{SLUG}/")
    assert (status, task["archived_at"] is not None) == (200, True)


def test_it_asks_first_and_does_nothing_without_a_yes(house: House) -> None:
    worker = house.pid("worker")
    refused = drill(house.environment, answer="n\n")
    assert refused.returncode == 1
    assert "kill -9 its worker" in refused.stderr
    assert house.pid("worker") == worker


def test_where_no_house_runs_it_says_how_to_start_one(tmp_path: Path) -> None:
    environment = {**os.environ, "RUNBOARD_HOME": str(tmp_path), "DJANGO_SETTINGS_MODULE": "config.settings"}
    refused = drill(environment, "--yes")
    assert refused.returncode == 1
    assert "start one with `make run`" in refused.stderr


def one(claimed: float, finished: float) -> dict[str, Any]:
    return {"claimed_at": claimed, "finished_at": finished}


def test_attempts_that_follow_each_other_are_not_at_once() -> None:
    assert most_at_once([one(0, 1), one(1, 2), one(1.5, 3), one(2.5, 4)]) == 2
