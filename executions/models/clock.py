"""The database's clock, the only one that leases and due times are compared by.

PostgreSQL: `clock_timestamp()`, for workers on several machines need not agree on the time. SQLite lives on one machine,
where Python's clock is the same clock with finer digits than SQLite's own functions give.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import DateTimeField, Func, Value
from django.db.models.expressions import Combinable
from django.utils import timezone


class ClockTimestamp(Func):
    """`clock_timestamp()`: the moment of the statement, not the start of the transaction."""

    function = "clock_timestamp"
    output_field = DateTimeField()


def clock() -> Combinable:
    """An expression for the present moment by the database's clock."""
    if connection.vendor == "postgresql":
        return ClockTimestamp()
    return Value(timezone.now(), output_field=DateTimeField())


def clock_sql() -> tuple[str, list[Any]]:
    """The same as SQL with its parameters. It is a subquery, read once, so that an index can be searched by it."""
    if connection.vendor == "postgresql":
        return "(SELECT clock_timestamp())", []
    return "%s", [connection.ops.adapt_datetimefield_value(timezone.now())]


def read_clock() -> datetime:
    """The database's present moment, as a value: the cursor of a page or of a feed."""
    if connection.vendor != "postgresql":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
        return moment
