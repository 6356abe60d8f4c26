"""What is done to a house, one fault after the other, from a seeded schedule. The matrix is docs/reliability.md."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from workers.chaos.houses import LEASE, Broken

BETWEEN = (0.7, 2.2)  # seconds
PAST_THE_LEASE = (0.75 * LEASE, 2.25 * LEASE)
FROZEN = 2.5


@dataclass
class Faults:
    """`done` counts them by name. A fault that finds nothing to hurt is not counted."""

    broken: Broken
    seed: int
    done: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 — a fault's luck
        self._frozen: list[threading.Timer] = []
        self._kinds: dict[str, tuple[int, Callable[[], bool]]] = {
            "kill a sandbox": (20, lambda: self._signal(self.broken.sandboxes(), signal.SIGKILL)),
            "kill a worker": (12, lambda: self._signal(self.broken.pids("worker"), signal.SIGKILL)),
            "kill a scheduler": (8, lambda: self._signal(self.broken.pids("scheduler"), signal.SIGKILL)),
            "kill the web server": (3, lambda: self._signal(self.broken.pids("web"), signal.SIGKILL)),
            "kill and empty Redis": (6, self._kill_redis),
            "empty Redis": (5, self._empty_redis),
            "freeze Redis": (7, lambda: self._freeze(self.broken.pids("redis"), FROZEN)),
            "stop a sandbox": (8, lambda: self._freeze(self.broken.sandboxes(), self._past_the_lease())),
            "stop a worker past its lease": (8, lambda: self._freeze(self._kept_workers(), self._past_the_lease())),
            "stop a scheduler": (4, lambda: self._freeze(self._kept("scheduler"), self._past_the_lease())),
        }
        if self.broken.cluster is not None:
            self._kinds["stop PostgreSQL, immediate"] = (10, self._crash_postgresql)

    def run(self, seconds: float) -> None:
        """Faults for so long; at the end whatever was stopped goes on."""
        names, weights = list(self._kinds), [weight for weight, _ in self._kinds.values()]
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end:
                time.sleep(self._random.uniform(*BETWEEN))
                name = self._random.choices(names, weights)[0]
                self.done[name] += self._kinds[name][1]()
        finally:
            for timer in self._frozen:
                timer.join()

    def _past_the_lease(self) -> float:
        return self._random.uniform(*PAST_THE_LEASE)

    def _kept(self, kind: str) -> list[int]:
        """Those that no supervisor watches: it would kill what stands still, where a machine of its own would not."""
        return [kept.pid for kept in self.broken.kept if kept.pid and kept.name.startswith(kind)]

    def _kept_workers(self) -> list[int]:
        return self._kept("worker")

    def _signal(self, pids: list[int], number: signal.Signals) -> bool:
        if not pids:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._random.choice(pids), number)
            return True
        return False

    def _freeze(self, pids: list[int], seconds: float) -> bool:
        if not pids:
            return False
        pid = self._random.choice(pids)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            timer = threading.Timer(seconds, thaw, [pid])
            timer.start()
            self._frozen.append(timer)
            return True
        return False

    def _kill_redis(self) -> bool:
        """It comes back without what it held."""
        self.broken.redis("FLUSHALL")
        return self._signal(self.broken.pids("redis"), signal.SIGKILL)

    def _empty_redis(self) -> bool:
        self.broken.redis("FLUSHALL")
        return True

    def _crash_postgresql(self) -> bool:
        assert self.broken.cluster is not None
        self.broken.cluster.stop(by=signal.SIGQUIT)
        time.sleep(self._random.uniform(0.3, 2.0))
        self.broken.cluster.start()
        return True


def thaw(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)
