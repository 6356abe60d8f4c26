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


class Spawner:
    """The spawning thread; starts with the first order."""

    def __init__(self) -> None:
        self._orders: SimpleQueue[tuple[Future[subprocess.Popen[bytes]], Sequence[str], dict[str, Any]]] = SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self, command: Sequence[str], members: dict[str, Any]) -> subprocess.Popen[bytes]:
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._serve, name="spawn", daemon=True)
                self._thread.start()
        started: Future[subprocess.Popen[bytes]] = Future()
        self._orders.put((started, command, members))
        return started.result()

    def _serve(self) -> None:
        while True:
            started, command, members = self._orders.get()
            try:
                started.set_result(subprocess.Popen(command, **members))
            except BaseException as error:
                started.set_exception(error)


_spawner = Spawner()


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
    members = {"stdin": stdin, "stdout": stdout, "stderr": stderr, "pass_fds": inherit, "env": environment}
    return _spawner.start(command, members | {"cwd": directory, "start_new_session": True})
