"""A real window on a real house that is cut off, stands still, or dies: the page says so, and is right again."""

from __future__ import annotations

import signal
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser import Complaints
from tests.services import House


def live(page: Page) -> Page:
    page.goto("/")
    expect(page.locator("body[data-live=on]")).to_be_attached()
    return page


def test_a_page_that_comes_back_has_missed_nothing(
    house: House, new_page: Callable[..., Page], complaints: Complaints
) -> None:
    page = live(new_page())
    page.context.set_offline(True)
    expect(page.locator("#live-status")).to_contain_text("paused — reconnecting", timeout=8000)
    started = house.submit("log-fountain", {"lines": 3})
    house.reaches(started, "completed")
    expect(page.locator("#live-status")).to_contain_text("may be stale", timeout=15_000)
    assert page.locator(f"#execution-{started}").count() == 0
    page.context.set_offline(False)
    expect(page.locator(f"[data-column=completed] #execution-{started}")).to_be_visible(timeout=5000)
    expect(page.locator("#live-status")).to_be_empty()
    complaints.said = [said for said in complaints.said if "ERR_INTERNET_DISCONNECTED" not in said]


def test_a_server_that_stands_still_is_noticed(house: House, new_page: Callable[..., Page]) -> None:
    page = live(new_page())
    house.kill("web", by=signal.SIGSTOP)
    try:
        expect(page.locator("#live-status")).to_contain_text("paused — reconnecting", timeout=8000)
    finally:
        house.kill("web", by=signal.SIGCONT)
    expect(page.locator("body[data-live=on]")).to_be_attached(timeout=10_000)


def test_a_server_that_dies_is_found_again(house: House, new_page: Callable[..., Page]) -> None:
    page = live(new_page())
    house.is_back("web", since=house.kill("web"))
    expect(page.locator("body[data-live=off]")).to_be_attached()
    expect(page.locator("body[data-live=on]")).to_be_attached(timeout=15_000)
    started = house.submit("log-fountain", {"lines": 1})
    expect(page.locator(f"#execution-{started}")).to_be_visible(timeout=5000)
