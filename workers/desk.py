"""Where the slots of a process hand in what was over in a moment: what comes together is committed together.

Guarantee: an end counts once it is committed, and until then the execution is held under its lease. A slot does not wait for
that; it goes on with the next. There is no waiting for company either: one thread commits whatever was handed in while the
commit before was under way. What cannot be told this way (cancelled or paused meanwhile, lost) is told verb by verb.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import connection
from django.utils import timezone

from executions import transitions
from executions.transitions import Finished, Refused
from workers.insist import insist

logger = logging.getLogger(__name__)

MOST = 64  # that wait; who hands in more waits for the commit

Commit = Callable[[Sequence[Finished]], Collection[UUID]]


@dataclass(frozen=True, slots=True, eq=False)
class Handed:
    """What one slot handed in, and how it is told where it cannot be told together."""

    finished: Finished
    otherwise: Callable[[], None]


def commit_together(finished: Sequence[Finished]) -> Collection[UUID]:
    return insist(lambda: transitions.complete_all(finished, now=timezone.now()))


class Desk:
    """One a process; its thread begins with the first that is handed in."""

    def __init__(self, commit: Commit = commit_together) -> None:
        self._commit = commit
        self._waiting: list[Handed] = []
        self._committing = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def hand_in(self, finished: Finished, *, otherwise: Callable[[], None]) -> None:
        """Let an attempt be told of from its start to its good end."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) < MOST)
            self._waiting.append(Handed(finished, otherwise))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="desk", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def wait_empty(self, timeout: float) -> bool:
        """Wait until everything that was handed in has been told; False where some of it has not."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._committing, timeout)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                handed, self._waiting, self._committing = self._waiting, [], True
                self._changed.notify_all()
            try:
                self._tell(handed)
            except Exception:
                logger.exception("%s ends could not be told; their leases run out, and they run again", len(handed))
                connection.close()
            finally:
                with self._changed:
                    self._committing = False
                    self._changed.notify_all()

    def _tell(self, handed: Sequence[Handed]) -> None:
        done = self._commit([one.finished for one in handed])
        for one in handed:
            if one.finished.claim.execution_id not in done:
                try:
                    one.otherwise()
                except Refused as refused:
                    logger.info("refused: %s", refused)
