"""What /proc says about a tree of processes, and signals to all of it. A process that is gone meanwhile counts as nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")


def tree(root: int) -> list[int]:
    """A process and all its descendants, parents first."""
    found = [root]
    for pid in found:
        found += _children(pid)
    return found


def signal_tree(root: int, number: signal.Signals) -> int:
    """Signals a process and its descendants; how many there were."""
    pids = tree(root)
    for pid in pids:
        _kill(pid, number)
    return len(pids)


def stop_tree(root: int) -> None:
    """Stops every process where it is, including those forked while the first ones were being stopped."""
    stopped: set[int] = set()
    for _ in range(8):
        fresh = set(tree(root)) - stopped
        if not fresh:
            return
        for pid in fresh:
            _kill(pid, signal.SIGSTOP)
        stopped |= fresh


def resident(root: int) -> int:
    """Bytes resident in all processes of a tree, pages they share counted once for each."""
    return sum(_resident(pid) for pid in tree(root))


def proportional(root: int) -> int:
    """Bytes in all processes of a tree, shared pages divided among those who share them. 0.1 ms a process."""
    return sum(_proportional(pid) for pid in tree(root))


def everyone() -> Iterator[int]:
    """Every process of this machine that this process can see."""
    yield from (int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit())


def read(path: str) -> str:
    """A file of /proc, or nothing where the process is gone or not ours to look at."""
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


def _children(pid: int) -> list[int]:
    try:
        threads = [entry.name for entry in os.scandir(f"/proc/{pid}/task")]
    except OSError:
        return []
    return [int(child) for thread in threads for child in read(f"/proc/{pid}/task/{thread}/children").split()]


def _kill(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _resident(pid: int) -> int:
    fields = read(f"/proc/{pid}/statm").split()
    return int(fields[1]) * PAGE if len(fields) > 1 else 0


def _proportional(pid: int) -> int:
    for line in read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return _resident(pid)
