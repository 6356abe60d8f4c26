"""Ends what an earlier life of a worker left behind.

Normally nothing is: a sandbox dies with the process that made it, and the filter of system calls refuses to ask for anything
else. A worker looks for its own mark all the same when it starts. The mark is a mount inside the sandbox, which the code there
can neither remove nor forge.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from workers.runtimes import processes
from workers.runtimes.bundle import INSIDE
from workers.runtimes.bwrap import MARKS, mark_of


def leftovers(owner: str) -> list[int]:
    """Processes in sandboxes that bear this owner's mark."""
    mark = f" {MARKS}/{mark_of(owner)}-"
    return [pid for pid in processes.everyone() if mark in processes.read(f"/proc/{pid}/mountinfo")]


def is_unborn(pid: int) -> bool:
    """Whether this is a sandbox of ours whose maker died before it stood.

    bwrap arms its own death only once its child runs. A child that waits for a parent that is gone waits for ever, whoever's
    it was, and has mounted no mark yet.
    """
    stat = processes.read(f"/proc/{pid}/stat")
    is_orphan = stat.startswith(f"{pid} (bwrap) ") and stat.split(") ", 1)[1].split()[1] == "1" and os.getpid() != 1
    return is_orphan and INSIDE in processes.read(f"/proc/{pid}/cmdline")


def clear(owner: str) -> int:
    """Kills this owner's leftovers; how many processes there were. Call it before the first sandbox is made."""
    found = leftovers(owner)
    for pid in (*found, *filter(is_unborn, processes.everyone())):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    return len(found)
