"""A real Chromium, and what a person does in it: sign in, press, type, drag with a mouse, watch two windows."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Locator,
    Page,
    StorageState,
    expect,
    sync_playwright,
)

from tests.services import CHROMIUM, CHROMIUM_FLAGS, House, missing

PATIENCE = 20_000  # ms for anything to appear, on a machine that does something else as well
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
MOUSE_STEPS = 12  # moves between two places, as a hand makes them

expect.set_options(timeout=PATIENCE)


@dataclass
class Complaints:
    """What the browser complained about: errors of scripts, violations of the policy, dialogs that nobody asked for."""

    said: list[str] = field(default_factory=list)

    def listen(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("dialog", self._dialog)

    def take(self, pattern: str) -> list[str]:
        """Take out what the test itself provoked, such as an answer of 422; what it was."""
        taken = [said for said in self.said if re.search(pattern, said)]
        self.said = [said for said in self.said if said not in taken]
        return taken

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
    assert complaints.said == []


@pytest.fixture(scope="session")
def sessions() -> dict[str, StorageState]:
    """Cookies of those who signed in, by the house's password: one sign-in a house is enough."""
    return {}


@pytest.fixture
def windows(
    browser: Browser, complaints: Complaints, sessions: dict[str, StorageState]
) -> Iterator[Callable[..., Page]]:
    """Windows of people: each a browser of its own, signed in to a house's board, unless `signed_in=False`."""
    opened: list[BrowserContext] = []

    def open_page(house: House, *, signed_in: bool = True, **options: Any) -> Page:
        cookies = sessions.get(house.password) if signed_in else None
        context = browser.new_context(base_url=house.url, storage_state=cookies, **options)
        opened.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        complaints.listen(page)
        if cookies:
            page.goto("/")
        elif signed_in:
            sign_in(page, house)
            sessions[house.password] = context.storage_state()
        if signed_in and options.get("java_script_enabled", True):
            is_live(page)
        return page

    yield open_page
    for context in opened:
        context.close()


@pytest.fixture
def new_page(windows: Callable[..., Page], house: House) -> Callable[..., Page]:
    """Windows of the house that all stories share."""
    return lambda **options: windows(house, **options)


@pytest.fixture
def page(new_page: Callable[..., Page]) -> Page:
    return new_page()


def sign_in(page: Page, house: House) -> None:
    """By the form, as a person does, to the board."""
    page.goto("/accounts/login/")
    page.locator("input[name=username]").fill(house.user)
    page.locator("input[type=password]").fill(house.password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_selector("[data-column=pending]")


def is_live(page: Page) -> None:
    """Wait until the page hears of changes: what is done next is then seen on it."""
    expect(page.locator("body")).to_have_attribute("data-live", "on")


def column(page: Page, name: str) -> Locator:
    return page.locator(f"[data-column={name}]")


def card(page: Page, execution: str) -> Locator:
    return page.locator(f"[id='execution-{execution}']")


def plan_of(page: Page, plan: int | str) -> Locator:
    return page.locator(f"[id=plan-{plan}]")


def drag(page: Page, source: Locator, target: Locator) -> None:
    """With a real mouse, in small moves: clicks made by script would pass by what a person meets."""
    source.scroll_into_view_if_needed()
    from_x, from_y = grip(source)
    to_x, to_y = grip(target)
    page.mouse.move(from_x, from_y)
    page.mouse.down()
    page.mouse.move(to_x, to_y, steps=MOUSE_STEPS)
    page.mouse.up()


def grip(place: Locator) -> tuple[float, float]:
    """Where a hand takes a card, and drops one: near the top, in the middle."""
    box = place.bounding_box()
    assert box, f"{place} is not to be seen"
    return box["x"] + box["width"] / 2, box["y"] + min(box["height"] / 2, 24)


def watch(page: Page) -> None:
    """From now on the page remembers what its cards showed, and where: a card may move on faster than a test looks."""
    page.evaluate(
        """() => {
            window.sights = {};
            const look = () => {
                for (const card of document.querySelectorAll("[data-execution]")) {
                    const seen = (window.sights[card.dataset.execution] ??= []);
                    const sight = [card.closest("[data-column]").dataset.column, card.innerText];
                    if (String(seen.at(-1)) !== String(sight)) seen.push(sight);
                }
            };
            const all = { subtree: true, childList: true, characterData: true, attributes: true };
            new MutationObserver(look).observe(document.getElementById("board"), all);
        }"""
    )


def sights(page: Page, execution: str) -> list[tuple[str, str]]:
    """What was seen of an execution's card since the page was watched: the column it stood in, and its text."""
    return [(where, text) for where, text in page.evaluate("execution => window.sights[execution] ?? []", execution)]
