"""What the scheduler does for histories: an anchor a day, and retention a little at a time."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from executions.history import anchors, pruning

logger = logging.getLogger(__name__)

EVERY = timedelta(minutes=1)
PATIENCE = 0.5  # seconds of pruning at a time: due work is not kept waiting


@dataclass
class Upkeep:
    """Told of every tick, it looks once a minute; while something old is left, it goes on at every tick."""

    last: datetime | None = None
    _old: Iterator[pruning.Old] | None = None

    def tick(self, now: datetime) -> None:
        if self.last is None or now - self.last >= EVERY:
            self.last = now
            if anchors.is_due(now):
                anchors.make(now)
            if settings.RETENTION and self._old is None:
                self._old = pruning.old(before=now - settings.RETENTION)
        if self._old is not None:
            self._prune(self._old, now)

    def _prune(self, old: Iterator[pruning.Old], now: datetime) -> None:
        """Go on where the last tick stopped, until everything old has been seen."""
        until = time.monotonic() + PATIENCE
        for found in old:
            if not found.sound:
                logger.warning(
                    "%s is older than RUNBOARD_RETENTION_DAYS, and is kept: its history does not verify", found.pk
                )
            elif stone := pruning.prune(found.pk, why="retention", now=now):
                logger.debug("%s", stone)
            if time.monotonic() > until:
                return
        self._old = None
