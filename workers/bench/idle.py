"""What processes take while they have nothing to do."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from pathlib import Path

WATCHED = 20.0


def idle(pids: Iterable[int], *, seconds: float = WATCHED) -> tuple[float, float]:
    """(memory in MiB as PSS, CPU in percent of one core) of these processes together, over some seconds of doing nothing."""
    watched = list(pids)
    before = sum(map(_ticks, watched))
    time.sleep(seconds)
    spent = sum(map(_ticks, watched)) - before
    return sum(map(_pss, watched)), 100 * spent / os.sysconf("SC_CLK_TCK") / seconds


def _ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def _pss(pid: int) -> float:
    try:
        found = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    except OSError:
        return 0.0
    return int(found[1]) / 1024 if found else 0.0
