"""The same house served by daphne: pages, the API, sockets and a question."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser import card, column
from tests.services import House


def test_a_release_is_run_and_answered_on_daphne(new_house: Callable[..., House], windows: Callable[..., Page]) -> None:
    house = new_house(RUNBOARD_SERVER="daphne")
    page = windows(house)
    page.locator("#library-release-assistant").get_by_role("button", name="Run").click()
    asking = column(page, "running").locator("[data-state=waiting]")
    expect(asking.locator("[data-reason]")).to_contain_text("Deploy 2.4.1 to production?")
    pk = str(asking.get_attribute("data-execution"))
    asking.get_by_role("link", name="Answer").click()
    page.get_by_label("Canary first").check()
    page.get_by_role("button", name="Send answer").click()
    expect(page.locator("#hero")).to_contain_text("Completed")
    expect(page.locator("#value-output")).to_contain_text("canary")
    page.goto("/")
    expect(column(page, "completed").locator(card(page, pk))).to_be_visible()
