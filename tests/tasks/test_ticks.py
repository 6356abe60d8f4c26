"""When schedules tick: cron and intervals, and what daylight saving time does to them (docs/schedules.md)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.ticks import Ticks, Unreadable, read_cron, read_zone

BERLIN = "Europe/Berlin"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def ticks(cron: str, zone: str, since: str, *, count: int) -> list[str]:
    """The next ticks after a moment (UTC), as UTC."""
    rule = Ticks(cron, zone, None, LONG_AGO)
    return [tick.strftime("%d %H:%M") for tick in rule.upcoming(utc(since), count=count)]


def test_in_utc_a_day_is_a_day() -> None:
    assert ticks("30 2 * * *", "UTC", "2026-03-28T12:00", count=3) == ["29 02:30", "30 02:30", "31 02:30"]
    assert ticks("30 2 * * *", "UTC", "2026-10-24T12:00", count=3) == ["25 02:30", "26 02:30", "27 02:30"]


def test_a_time_of_day_follows_the_clock_on_the_wall() -> None:
    assert ticks("0 9 * * *", BERLIN, "2026-03-27T12:00", count=3) == ["28 08:00", "29 07:00", "30 07:00"]


def test_a_time_in_the_skipped_hour_comes_once_when_the_hour_has_been_skipped() -> None:
    # 29 March 2026, 02:00 → 03:00 in Berlin, at 01:00 UTC.
    assert ticks("30 2 * * *", BERLIN, "2026-03-28T12:00", count=2) == ["29 01:00", "30 00:30"]
    assert ticks("0,30 2 * * *", BERLIN, "2026-03-28T12:00", count=2) == ["29 01:00", "30 00:00"]
    assert ticks("0 2,3 * * *", BERLIN, "2026-03-28T12:00", count=2) == ["29 01:00", "30 00:00"]


def test_a_time_in_the_repeated_hour_comes_once_the_first_time() -> None:
    # 25 October 2026, 03:00 → 02:00 in Berlin, at 01:00 UTC.
    assert ticks("30 2 * * *", BERLIN, "2026-10-24T12:00", count=2) == ["25 00:30", "26 01:30"]


@pytest.mark.parametrize("inside", ["2026-10-25T00:30", "2026-10-25T01:00", "2026-10-25T01:15", "2026-10-25T01:45"])
def test_looked_at_from_within_the_repeated_hour_it_has_been(inside: str) -> None:
    assert ticks("30 2 * * *", BERLIN, inside, count=1) == ["26 01:30"]


def test_a_star_in_minute_or_hour_follows_the_hours_that_there_are() -> None:
    assert ticks("30 * * * *", BERLIN, "2026-03-28T23:50", count=3) == ["29 00:30", "29 01:30", "29 02:30"]
    assert ticks("30 * * * *", BERLIN, "2026-10-24T23:50", count=3) == ["25 00:30", "25 01:30", "25 02:30"]
    assert ticks("*/30 2 * * *", BERLIN, "2026-03-28T12:00", count=1) == ["30 00:00"]
    assert ticks("*/30 2 * * *", BERLIN, "2026-10-24T12:00", count=4) == [
        "25 00:00",
        "25 00:30",
        "25 01:00",
        "25 01:30",
    ]


def test_an_interval_is_counted_in_seconds_whatever_the_clock_on_the_wall_does() -> None:
    rule = Ticks("", BERLIN, 6 * 3600, utc("2026-03-28T12:00"))
    assert rule.upcoming(utc("2026-03-28T19:00"), count=2) == [utc("2026-03-29T00:00"), utc("2026-03-29T06:00")]


def test_an_interval_begins_one_interval_after_it_was_made() -> None:
    assert Ticks("", "UTC", 60, LONG_AGO).next(LONG_AGO - timedelta(days=1)) == LONG_AGO + timedelta(seconds=60)


@pytest.mark.parametrize(("cron", "every"), [("*/7 * * * *", None), ("15 2 * * *", None), ("", 95)])
def test_the_latest_are_the_last_of_all(cron: str, every: int | None) -> None:
    rule = Ticks(cron, BERLIN, every, LONG_AGO)
    first, last = utc("2026-10-20T00:00"), utc("2026-10-27T00:00")
    every_one = []
    for tick in rule.after(first):
        if tick > last:
            break
        every_one.append(tick)
    assert rule.latest(first, last, most=5) == every_one[-5:]
    assert rule.latest(every_one[0], last, most=10_000) == every_one
    assert rule.latest(every_one[-1], every_one[-1], most=5) == every_one[-1:]


@given(
    hours=st.floats(0, 366 * 24),
    cron=st.sampled_from(
        ["30 2 * * *", "*/20 2 * * *", "0 0 * * *", "59 23 31 12 *", "0 */2 * * *", "1,59 1-3 * 3,10 7"]
    ),
    zone=st.sampled_from([BERLIN, "UTC", "America/Havana", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Kathmandu"]),
)
def test_ticks_ascend_and_every_one_is_found_from_the_one_before(hours: float, cron: str, zone: str) -> None:
    moment = utc("2026-01-01T00:00") + timedelta(hours=hours)
    rule = Ticks(cron, zone, None, LONG_AGO)
    found = rule.upcoming(moment, count=4)
    assert [moment, *found] == sorted({moment, *found})
    assert [rule.next(before) for before in (moment, *found[:-1])] == found


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("* * * *", "must have 5 fields"),
        ("0 * * * * *", "must have 5 fields"),
        ("@daily", "must have 5 fields"),
        ("60 * * * *", "bad minute"),
        ("0 0 30 2 *", "bad day-of-month"),
        ("0 25 * * *", "bad hour"),
        ("a b c d e", "bad minute"),
        (",".join(["1"] * 150) + " * * * *", "at most 200 characters"),
    ],
)
def test_an_expression_that_cannot_be_read_is_refused_in_words(text: str, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        read_cron(text)


def test_an_expression_is_kept_with_single_spaces() -> None:
    assert read_cron("  0  9 * *   MON-FRI ") == "0 9 * * MON-FRI"


@pytest.mark.parametrize("name", ["Mars/Here", "../etc/passwd", "", "localtime", "\0x", "Europe", "europe/berlin"])
def test_a_zone_that_there_is_not_is_refused(name: str) -> None:
    with pytest.raises(Unreadable, match="there is no time zone"):
        read_zone(name)
