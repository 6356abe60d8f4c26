"""Where the slots of a process hand in what has finished: what comes together is committed together.

Guarantee: `complete` returns after the commit. There is no thread of its own and no waiting for company: whoever finds the desk
free commits everything that was handed in while the commit before was under way.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from django.utils import timezone

from executions import transitions
from executions.transitions import Finished
from workers.insist import insist


@dataclass(slots=True, eq=False)
class Handed:
    """What one slot handed in; `done` is None until it is known whether it went through."""

    finished: Finished
    done: bool | None = None


class Desk:
    def __init__(self) -> None:
        self._waiting: list[Handed] = []
        self._handing_in = threading.Lock()
        self._committing = threading.Lock()

    def complete(self, finished: Finished) -> bool:
        """Tell of an attempt from its start to its good end; False where that has to be told verb by verb."""
        mine = Handed(finished)
        with self._handing_in:
            self._waiting.append(mine)
        with self._committing:
            if mine.done is None:
                self._commit()
        assert mine.done is not None
        return mine.done

    def _commit(self) -> None:
        with self._handing_in:
            handed, self._waiting = self._waiting, []
        done: frozenset[object] = frozenset()
        try:
            told = [one.finished for one in handed]
            done = insist(lambda: transitions.complete_all(told, now=timezone.now()))
        finally:
            for one in handed:
                one.done = one.finished.claim.execution_id in done
