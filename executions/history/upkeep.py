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
    """Looked at on every tick, it does something once a minute."""

    last: datetime | None = None
    _old: Iterator[pruning.Old] | None = None

    def tick(self, now: datetime) -> None:
        if self.last is not None and now - self.last < EVERY:
            return
        self.last = now
        if anchors.is_due(now):
            anchors.make(now)
        if settings.RETENTION:
            self._prune(now)

    def _prune(self, now: datetime) -> None:
        """Go on where the last look stopped; once everything old has been seen, begin again."""
        until = time.monotonic() + PATIENCE
        self._old = self._old or pruning.old(before=now - settings.RETENTION)
        for found in self._old:
            if not found.sound:
                logger.warning(
                    "%s is older than RUNBOARD_RETENTION_DAYS, and is kept: its history does not verify", found.pk
                )
            elif stone := pruning.prune(found.pk, why="retention", now=now):
                logger.debug("%s", stone)
            if time.monotonic() > until:
                return
        self._old = None
