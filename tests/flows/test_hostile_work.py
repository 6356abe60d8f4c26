"""Work that nobody should be given: it ends in the right state within its bound, and nothing of it is left running."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.services import House
from workers.bench.scratch import environ

pytestmark = pytest.mark.house

SPINS = "while True: pass"
IGNORES = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: time.sleep(1)"
FORKS = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"
FILLS = "import time\nwith open('/work/much', 'wb') as file:\n    while True: file.write(b'x' * 1_000_000)"
KILLS = "import os, signal\nfor pid in (os.getppid(), 1, -1):\n    try: os.kill(pid, signal.SIGKILL)\n    except OSError: pass"


def run(house: House, source: str, *, within: float = 60, **members: Any) -> dict[str, Any]:
    """What becomes of a script."""
    slug = f"hostile-{uuid4().hex[:8]}"
    task = {"slug": slug, "kind": "script", "runtime": "python", "source": source, **members}
    status, told = house.api("POST", "tasks/", task)
    assert status == 201, told
    pk = house.submit(slug)
    return house.reaches(pk, "completed", "failed", "timed_out", "cancelled", "terminated", within=within)


def left(ended: dict[str, Any]) -> list[Path]:
    """Processes of an execution that has ended."""
    mark = f"EXECUTION_ID={ended['id']}".encode()
    return [folder for folder in Path("/proc").iterdir() if folder.name.isdigit() and mark in environ(folder)]


@pytest.mark.parametrize("source", [SPINS, IGNORES, FORKS], ids=["spins", "ignores SIGTERM", "forks for ever"])
def test_what_never_ends_is_ended_by_its_clock(house: House, source: str) -> None:
    ended = run(house, source, limits={"timeout_seconds": 2})
    assert (ended["state"], ended["error"]["type"]) == ("timed_out", "TimedOut")
    assert left(ended) == []
    house.reaches(house.submit("summarise-csv", {"csv": "a\n1\n"}), "completed")  # its worker is as well as before


def test_what_fills_its_disk_is_told_so(house: House) -> None:
    ended = run(house, FILLS, limits={"timeout_seconds": 30})
    assert ended["state"] == "failed"
    assert (ended["error"]["type"] == "ResourceExhausted") or ("File too large" in ended["error"]["message"])
    assert left(ended) == []


def test_what_kills_all_it_can_reach_ends_alone(house: House) -> None:
    before = house.pid("worker")
    ended = run(house, KILLS, within=90)
    assert ended["state"] in ("completed", "failed")
    assert house.pid("worker") == before


def test_what_is_cancelled_and_does_not_listen_is_killed_and_seen_to_end(house: House) -> None:
    slug = f"deaf-{uuid4().hex[:8]}"
    house.api("POST", "tasks/", {"slug": slug, "kind": "script", "runtime": "python", "source": IGNORES})
    pk = house.submit(slug)
    house.reaches(pk, "running")
    assert house.api("POST", f"executions/{pk}/cancel/", {})[0] == 200
    status, refused = house.api("POST", f"executions/{pk}/cancel/", {})
    assert (status, refused["allowed"]) == (409, ["signal", "terminate"])
    assert house.reaches(pk, "cancelled", within=25)["state"] == "cancelled"
