"""One thread a process that keeps its sandboxes within their limits, whatever the slots' threads are busy with.

Twenty times a second each living sandbox is looked at: its clock, its memory, its files. The thread sleeps while there are
none. Memory is polled because no cgroup is at hand; what a process can allocate between two looks is bounded by RLIMIT_DATA.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Protocol

PERIOD = 0.05

log = logging.getLogger(__name__)


class Watched(Protocol):
    """What the watch looks at. `look` must be quick and may end the sandbox."""

    def look(self, now: float) -> None: ...


class Watch:
    """The watching thread; starts with the first sandbox."""

    def __init__(self) -> None:
        self._watched: set[Watched] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, sandbox: Watched) -> None:
        with self._changed:
            self._watched.add(sandbox)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._serve, name="watch", daemon=True)
                self._thread.start()
            self._changed.notify()

    def remove(self, sandbox: Watched) -> None:
        with self._changed:
            self._watched.discard(sandbox)

    def _serve(self) -> None:
        while True:
            with self._changed:
                while not self._watched:
                    self._changed.wait()
                watched = list(self._watched)
            for sandbox in watched:
                self._look(sandbox)
            time.sleep(PERIOD)

    def _look(self, sandbox: Watched) -> None:
        try:
            sandbox.look(time.monotonic())
        except Exception:
            log.exception("a sandbox could not be looked at")


watch = Watch()
