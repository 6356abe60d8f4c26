"""A worker whose database neither answers nor refuses ends its life; `make chaos` shows the same with a real dead line (F6)."""

import os
import subprocess
import sys

from django.db import connection

from tests.services import ROOT

A_LIFE = """
import django
django.setup()
from django.db import connection
from workers import presence
from workers.runtimes import Runtimes
presence.WATCHED[connection.vendor] = {patience}
life = presence.Living(name="w", queues=(), slots=1, labels={{}}, runtimes=Runtimes(owner="w"))
life._watch()
"""


def ended(patience: int) -> subprocess.CompletedProcess[str]:
    """A life in which no look for work ever comes back."""
    command = [sys.executable, "-c", A_LIFE.format(patience=patience)]
    return subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=50)


def test_a_life_in_which_no_look_comes_back_ends_and_says_why() -> None:
    life = ended(1)
    assert life.returncode == os.EX_TEMPFAIL
    assert "has not answered for 1 s, and has not refused" in life.stderr


def test_each_database_has_a_patience_longer_than_its_longest_lock() -> None:
    from workers.presence import WATCHED

    lock = {"postgresql": 10, "sqlite": 30}[connection.vendor]
    assert WATCHED[connection.vendor] > lock
