"""Starts processes from one thread that lives as long as this process.

Guarantee: a child that asks to die with its parent (PR_SET_PDEATHSIG, bwrap's --die-with-parent) dies with this process and
not earlier. The kernel ties that signal to the *thread* that spawned, and a slot's thread may end before a warm helper does.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any

_orders: SimpleQueue[tuple[Future[subprocess.Popen[bytes]], Sequence[str], dict[str, Any]]] = SimpleQueue()
_start = threading.Lock()
_thread: threading.Thread | None = None


def spawn(
    command: Sequence[str],
    *,
    stdin: int,
    stdout: int,
    stderr: int,
    inherit: Sequence[int] = (),
    environment: Mapping[str, str],
    directory: str = "/",
) -> subprocess.Popen[bytes]:
    """A new process in a session of its own that inherits the given descriptors and no others. Raises OSError."""
    _ensure_thread()
    started: Future[subprocess.Popen[bytes]] = Future()
    members = {"stdin": stdin, "stdout": stdout, "stderr": stderr, "pass_fds": inherit, "env": environment}
    _orders.put((started, command, members | {"cwd": directory, "start_new_session": True}))
    return started.result()


def _ensure_thread() -> None:
    global _thread
    with _start:
        if _thread is None or not _thread.is_alive():
            _thread = threading.Thread(target=_serve, name="spawn", daemon=True)
            _thread.start()


def _serve() -> None:
    while True:
        started, command, members = _orders.get()
        try:
            started.set_result(subprocess.Popen(command, **members))
        except BaseException as error:
            started.set_exception(error)
