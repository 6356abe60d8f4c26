"""A gateway answers 503 twice: the run tries again by itself, later each time, and says so while it waits."""

from datetime import datetime
from itertools import pairwise

import pytest
from playwright.sync_api import Page, expect

from tests.browser import card, column
from tests.services import House


def test_two_retries_with_growing_delays_and_then_it_succeeds(house: House, page: Page) -> None:
    pk = house.submit("flaky-gateway")
    waits = column(page, "running").locator(card(page, pk))
    expect(waits.locator("[data-reason=retrying]")).to_contain_text("tries again (retry 1)")
    expect(waits.locator("[data-reason=retrying]")).to_contain_text("tries again (retry 2)")
    expect(column(page, "completed").locator(card(page, pk))).to_be_visible()

    done = house.execution(pk)
    assert (done["state"], done["attempt"], done["retries"], done["losses"]) == ("completed", 3, 2, 0)
    assert done["output"] == {"status": 200, "tries": 3}
    outcomes = [attempt["outcome"] for attempt in house.rows(f"executions/{pk}/attempts/")]
    assert outcomes == ["failed", "failed", "completed"]
    announced = delays(house, pk)
    assert announced == [pytest.approx(2, rel=0.2), pytest.approx(4, rel=0.2)], "twice as long, with a fifth of jitter"
    assert all(waited >= told for waited, told in zip(waited_for(house, pk), announced, strict=True))

    card(page, pk).get_by_role("link").first.click()
    expect(page.locator("#attempts")).to_contain_text("503 Service Unavailable (answer 2 of 2)")


def delays(house: House, pk: str) -> list[float]:
    """The delays that were announced."""
    return [event["data"]["delay"] for event in house.rows(f"executions/{pk}/events/") if "delay" in event["data"]]


def waited_for(house: House, pk: str) -> list[float]:
    """Seconds between the end of an attempt and the claim of the next."""
    attempts = house.rows(f"executions/{pk}/attempts/")
    return [seconds(before["finished_at"], after["claimed_at"]) for before, after in pairwise(attempts)]


def seconds(since: str, until: str) -> float:
    return (datetime.fromisoformat(until) - datetime.fromisoformat(since)).total_seconds()
