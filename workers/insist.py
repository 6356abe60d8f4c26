"""Says something to the database until it has heard."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import DatabaseError, InterfaceError, connection

logger = logging.getLogger(__name__)

T = TypeVar("T")


def insist(say: Callable[[], T]) -> T:
    """Say it until the database has heard: a connection that broke is replaced. What the door refuses is not repeated."""
    for wait in (0.05, 0.2, 0.5, 1, 2, 2, 5, 5, 10, 10, 10, 10):
        try:
            return say()
        except (InterfaceError, DatabaseError) as error:
            if connection.in_atomic_block:
                raise
            logger.warning("the database did not answer, trying again: %s", error)
            connection.close()
            time.sleep(wait)
    return say()
