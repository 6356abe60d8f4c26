"""The one signal by which this room speaks upward: `planned`, sent after commit, for news only.

What may be lost hangs on it (a card that moves by itself in other browsers); the page's healing read mends a lost one.
"""

from __future__ import annotations

import logging

from django.db import transaction
from django.dispatch import Signal

logger = logging.getLogger(__name__)

planned = Signal()  # sender: str, plan_id: int, version: int


def announce(plan_id: int, *, version: int) -> None:
    """Send `planned` once the transaction has committed; no receiver can fail the request."""
    transaction.on_commit(lambda: _send(plan_id=plan_id, version=version), robust=True)


def _send(**news: int) -> None:
    for receiver, outcome in planned.send_robust("tasks", **news):
        if isinstance(outcome, Exception):
            logger.warning("a receiver of planned failed: %s: %r", receiver, outcome)
