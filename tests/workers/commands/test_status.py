import json
import os
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

NO_PROCESS = 2**22 + 1  # beyond the largest process id there can be


def said(*arguments: str) -> str:
    output = StringIO()
    call_command("status", *arguments, stdout=output)
    return output.getvalue()


@pytest.fixture
def home(tmp_path: Path, settings: Settings) -> Path:
    settings.HOME = tmp_path
    return tmp_path


def write(home: Path, *pids: int) -> dict[str, Any]:
    rows = [{"name": "worker", "pid": pid, "state": "running", "restarts": 1} for pid in pids]
    status = {"url": "http://127.0.0.1:8000", "processes": rows}
    (home / "status.json").write_text(json.dumps(status))
    return status


def test_what_the_supervisor_wrote_is_printed_as_it_is(home: Path) -> None:
    written = write(home, os.getpid())
    assert json.loads(said("--json")) == written


def test_a_process_that_is_gone_is_said_to_be_stopped(home: Path) -> None:
    write(home, NO_PROCESS)
    assert json.loads(said("--json"))["processes"] == [
        {"name": "worker", "pid": None, "state": "stopped", "restarts": 1}
    ]


def test_for_people_it_is_a_table_under_the_address(home: Path) -> None:
    write(home, NO_PROCESS)
    assert [line.split() for line in said().splitlines()] == [
        ["http://127.0.0.1:8000"],
        ["process", "state", "pid", "restarts"],
        ["worker", "stopped", "–", "1"],
    ]


def test_where_no_house_has_run_the_way_to_start_one_is_told(home: Path) -> None:
    with pytest.raises(CommandError, match="start one with `make run`"):
        said()
