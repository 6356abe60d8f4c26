"""The log of an execution and the inbox in a real browser: what only a browser can show."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.services import House, until

LINES = 20_000
MOST_NODES = 500


@pytest.fixture
def fountain(house: House) -> str:
    """An execution whose log is long."""
    pk = house.submit("log-fountain", {"lines": LINES})
    house.reaches(pk, "completed")
    return pk


def lines(page: Page) -> Locator:
    return page.locator("[role=log] [data-line]")


def test_a_long_log_is_seen_through_a_window_and_any_line_is_a_jump_away(page: Page, fountain: str) -> None:
    page.goto(f"/executions/{fountain}/")
    log = page.get_by_role("log")
    expect(page.locator("#log-count")).to_have_text(re.compile(rf"^{LINES:,} lines$"))
    expect(log.locator(f"[data-line='{LINES}']")).to_be_visible()
    assert lines(page).count() <= MOST_NODES

    log.focus()
    until(lambda: at_its_beginning(page), every=0.5, what="the log does not begin")
    page.goto(f"/executions/{fountain}/#L12000-L12003")
    expect(log.locator(".is-marked")).to_have_count(4)
    expect(log.locator("[data-line='12003']")).to_be_visible()
    assert lines(page).count() <= MOST_NODES

    log.locator("[data-line='12005'] a").click()
    log.locator("[data-line='12007'] a").click(modifiers=["Shift"])
    expect(page).to_have_url(re.compile(r"#L12005-L12007$"))
    expect(log.locator(".is-marked")).to_have_count(3)


def at_its_beginning(page: Page) -> bool:
    """Whether Home has brought the log there; it is pressed again while the page is still moving."""
    page.keyboard.press("Home")
    return page.locator("[data-line='1']").is_visible()


def test_a_log_that_stayed_empty_says_so_when_its_run_ends(house: House, page: Page) -> None:
    pk = house.submit("order-processing", {"gateway_seconds": 3})
    page.goto(f"/executions/{pk}/")
    expect(page.get_by_role("log")).to_have_text("It has written nothing yet.")
    house.reaches(pk, "completed")
    expect(page.get_by_role("log")).to_have_text("It wrote nothing.")


def test_a_link_opens_at_its_line(page: Page, fountain: str) -> None:
    page.goto(f"/executions/{fountain}/#L777")
    expect(page.locator("[data-line='777'].is-marked")).to_be_visible()


def test_colours_are_classes_and_nothing_that_was_printed_is_markup(page: Page, fountain: str) -> None:
    page.goto(f"/executions/{fountain}/")
    coloured = lines(page).locator(".tx span[class^=a]").first
    expect(coloured).to_be_visible()
    assert "\x1b" not in page.get_by_role("log").inner_text()


def test_a_question_comes_to_the_inbox_and_leaves_it_while_another_is_being_answered(
    house: House, new_page: Callable[..., Page]
) -> None:
    first = house.submit("release-assistant", {"version": "1.0"})
    house.reaches(first, "waiting")
    inbox = new_page()
    inbox.goto("/questions/")
    mine = inbox.locator(".ask:has(form)", has_text="Deploy 1.0 to production?")
    mine.get_by_label("Note").fill("I am still typing")
    second = house.submit("release-assistant", {"version": "2.0"})
    theirs = inbox.locator(".ask", has_text="Deploy 2.0 to production?")
    expect(theirs.locator("form")).to_be_visible()

    other = new_page()
    other.goto(f"/executions/{second}/")
    form = other.locator(".ask form")
    form.get_by_label("Hold").check()
    form.get_by_role("button", name="Send answer").click()
    expect(theirs).to_contain_text("Answered by")
    expect(theirs.locator("form")).to_have_count(0)
    expect(mine.get_by_label("Note")).to_have_value("I am still typing")

    mine.get_by_label("Hold").check()
    mine.get_by_role("button", name="Send answer").click()
    expect(inbox.locator(".ask", has_text="Deploy 1.0 to production?")).to_have_count(0)
    house.reaches(first, "completed")


def test_what_is_typed_stays_while_the_page_moves_on(house: House, page: Page) -> None:
    pk = house.submit("release-assistant", {"version": "3.0"})
    house.reaches(pk, "waiting")
    page.goto(f"/executions/{pk}/")
    note = page.locator(".ask").get_by_label("Note")
    note.fill("half a sentence")
    house.api("POST", f"executions/{pk}/cancel/", {"reason": "wrong version"})
    expect(page.locator("#hero")).to_contain_text("Cancelled")
    expect(page.locator("#answered")).to_contain_text("No longer asked")
    expect(page.locator(".ask form")).to_have_count(0)
