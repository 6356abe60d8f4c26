"""When a schedule ticks: by a cron expression in a time zone, or every so many seconds. Pure.

How cron meets daylight saving time is cronsim's rule, which is that of Debian's cron; docs/schedules.md tells it and
tests/tasks/test_ticks.py shows it. Ticks are moments in UTC, whole seconds of a minute for cron, and strictly ascending.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

FIELDS, LONGEST = 5, 200
LONGEST_EVERY = 366 * 86_400
FIRST_LOOK = timedelta(hours=1)  # back from now, for what was missed


class Unreadable(ValueError):
    """A cron expression or a time zone that there is not, in words."""


@dataclass(frozen=True, slots=True)
class Ticks:
    """`cron` in `zone`, or every so many seconds counted from `since`."""

    cron: str
    zone: str
    every: int | None
    since: datetime

    def after(self, moment: datetime) -> Iterator[datetime]:
        """The ticks after a moment, in order; cron's end where none comes within fifty years."""
        if self.every is None:
            return _of_cron(self.cron, self.zone, moment)
        return _of_interval(timedelta(seconds=self.every), self.since, moment)

    def next(self, moment: datetime) -> datetime | None:
        """The first tick after a moment; None where there is none."""
        return next(self.after(moment), None)

    def upcoming(self, moment: datetime, *, count: int) -> list[datetime]:
        """The next ticks after a moment, at most so many."""
        return list(islice(self.after(moment), count))

    def latest(self, first: datetime, last: datetime, *, most: int) -> list[datetime]:
        """The ticks from `first` to `last`, both included, and of those the last `most`: however long ago `first` is, only
        as much is counted as is needed."""
        look = FIRST_LOOK
        while True:
            since = max(first, last - look)
            found = self._between(since, last)
            if len(found) >= most or since == first:
                return found[-most:]
            look *= 2

    def _between(self, first: datetime, last: datetime) -> list[datetime]:
        found = []
        for tick in self.after(first - timedelta(microseconds=1)):
            if tick > last:
                break
            found.append(tick)
        return found


def read_cron(text: str) -> str:
    """The expression with single spaces; raises Unreadable."""
    fields = text.split()
    if len(text) > LONGEST:
        raise Unreadable(f"must have at most {LONGEST} characters")
    if len(fields) != FIELDS:
        named = "minute, hour, day of month, month, day of week"
        raise Unreadable(f"must have {FIELDS} fields ({named}), and has {len(fields)}")
    try:
        found = next(CronSim(text, datetime(2000, 1, 1, tzinfo=UTC)), None)
    except CronSimError as error:
        raise Unreadable(f"cannot be read: {str(error)[:1].lower()}{str(error)[1:]}") from error
    if found is None:
        raise Unreadable("never comes")
    return " ".join(fields)


def read_zone(name: str) -> str:
    """The name of a time zone; raises Unreadable."""
    if name not in _zones():
        raise Unreadable(f"there is no time zone “{name[:100]}”; one is named like Europe/Berlin, or UTC")
    return name


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones() - {"localtime"})  # which is another one on each machine


def _of_cron(expression: str, zone: str, moment: datetime) -> Iterator[datetime]:
    """Never a tick again or an earlier one: in a repeated hour the library may begin before the moment it was given."""
    for found in CronSim(expression, moment.astimezone(ZoneInfo(zone))):
        tick = found.astimezone(UTC)
        if tick > moment:
            moment = tick
            yield tick


def _of_interval(length: timedelta, since: datetime, moment: datetime) -> Iterator[datetime]:
    count = max((moment - since) // length + 1, 1)
    while True:
        yield since + count * length
        count += 1
