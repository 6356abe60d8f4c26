"""A real Chromium, and what a person does in it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, sync_playwright

from tests.services import CHROMIUM, CHROMIUM_FLAGS, House, missing

PATIENCE = 10_000  # ms for anything to appear


@dataclass
class Complaints:
    """What the browser complained about: errors of scripts, violations of the policy, dialogs that nobody asked for."""

    said: list[str] = field(default_factory=list)

    def listen(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("dialog", self._dialog)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.said.append(message.text)

    def _dialog(self, dialog: Dialog) -> None:
        self.said.append(f"dialog: {dialog.message}")
        dialog.dismiss()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """For one module: while it is open an event loop runs in this thread, which tests of the database do not bear."""
    if not Path(CHROMIUM).exists():
        missing("Chromium is missing: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> Iterator[Complaints]:
    """Empty at the end of the test, or the test fails; a test that provokes one takes it out."""
    complaints = Complaints()
    yield complaints
    assert not complaints.said


@pytest.fixture
def new_page(browser: Browser, house: House, complaints: Complaints) -> Iterator[Callable[..., Page]]:
    """Windows of people: each with cookies of its own, signed in to the house's board, unless `signed_in=False`."""
    opened = []

    def open_page(*, signed_in: bool = True, **context_options: object) -> Page:
        context = browser.new_context(base_url=house.url, **context_options)  # type: ignore[arg-type]
        opened.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        complaints.listen(page)
        if signed_in:
            sign_in(page, house)
        return page

    yield open_page
    for context in opened:
        context.close()


@pytest.fixture
def page(new_page: Callable[..., Page]) -> Page:
    return new_page()


def sign_in(page: Page, house: House) -> None:
    page.goto("/accounts/login/")
    page.locator("input[name=username]").fill(house.user)
    page.locator("input[type=password]").fill(house.password)
    page.locator("form button[type=submit]").first.click()
    page.wait_for_selector("[data-column=pending]")
