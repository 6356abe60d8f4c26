"""How long, and how long ago, in a person's words. Pure; for every face, and for sentences about waiting."""

from __future__ import annotations

from datetime import datetime, timedelta

MINUTE, HOUR, DAY = 60, 3600, 86_400
NOW_UNTIL = 2  # seconds: a heartbeat is never quite now
TENTHS_FROM, WHOLE_FROM = 0.0995, 9.95  # seconds from which a duration is told in tenths, and in whole ones


def duration(length: timedelta | float) -> str:
    """“0.4 s”, “12 s”, “3 m 06 s”, “2 h 05 m”, “4 d 3 h”."""
    seconds = length.total_seconds() if isinstance(length, timedelta) else length
    if seconds < TENTHS_FROM:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    if seconds < WHOLE_FROM:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} m {whole % MINUTE:02d} s"
    if whole < DAY:
        return f"{whole // HOUR} h {whole % HOUR // MINUTE:02d} m"
    return f"{whole // DAY} d {whole % DAY // HOUR} h"


def round_duration(seconds: float) -> str:
    """A policy's duration, which is usually a round one: “5 min”, “2 h”, “90 s”."""
    for unit, word in ((DAY, "days"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= unit and seconds % unit == 0:
            return f"{seconds / unit:g} {word}" if (unit, seconds) != (DAY, DAY) else "24 h"
    return f"{seconds:g} s"


def ago(moment: datetime, *, now: datetime) -> str:
    """How long ago, roughly: “now”, “40 s”, “12 m”, “3 h”, “2 d”."""
    seconds = max((now - moment).total_seconds(), 0)
    for unit, word in ((DAY, "d"), (HOUR, "h"), (MINUTE, "m")):
        if seconds >= unit:
            return f"{int(seconds // unit)} {word} ago"
    return f"{int(seconds)} s ago" if seconds >= NOW_UNTIL else "now"
