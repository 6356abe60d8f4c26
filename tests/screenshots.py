"""Every page as it looks, light, dark and on a phone: `make screenshots`.

docs/board.png is the README's picture; all others go to docs/screenshots, which git ignores.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser import PHONE, column, is_live, sign_in
from tests.services import CHROMIUM, CHROMIUM_FLAGS, ROOT, House, start_house, until

PICTURE = ROOT / "docs" / "board.png"
FOLDER = ROOT / "docs" / "screenshots"
DESK: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}}
LOOKS: dict[str, dict[str, Any]] = {
    "light": DESK,
    "dark": {**DESK, "color_scheme": "dark"},
    "phone": PHONE,
    "phone-dark": {**PHONE, "color_scheme": "dark"},
}
A_THIRD = 0.3
CSV = "city,people\nBergen,291940\nOslo,717710\nTromsø,78745\n"
Scene = dict[str, str]


def main() -> None:
    with a_house() as house, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        scene = set_the_scene(house)
        take_the_picture(window(browser, house, DESK), house)
        scene["running"] = house.submit("long-import", {"steps": 600, "seconds": 1})
        for look, options in LOOKS.items():
            folder = FOLDER / look
            folder.mkdir(parents=True, exist_ok=True)
            page = window(browser, house, options)
            for name, show in {**pages(scene), **gestures()}.items():
                show(page)
                page.screenshot(path=folder / f"{name}.png")
        browser.close()
    print(f"{PICTURE.relative_to(ROOT)}, and {len(list(FOLDER.rglob('*.png')))} pictures in {FOLDER.relative_to(ROOT)}")


@contextmanager
def a_house() -> Iterator[House]:
    with tempfile.TemporaryDirectory(prefix="runboard-screenshots-") as folder:
        house = start_house(Path(folder) / "home")
        try:
            house.wait_ready()
            yield house
        finally:
            house.stop()


def set_the_scene(house: House) -> Scene:
    """Something done, something that went wrong, and something that asks."""
    scene = {
        "completed": house.submit("summarise-csv", {"csv": CSV}),
        "retried": house.submit("flaky-gateway"),
        "failed": house.submit("summarise-csv", {"csv": "\n"}),
        "asks": house.submit("release-assistant"),
        "fountain": house.submit("log-fountain", {"lines": 2000}),
    }
    for name, state in {
        "completed": "completed",
        "retried": "completed",
        "failed": "failed",
        "asks": "waiting",
    }.items():
        house.reaches(scene[name], state)
    return scene


def window(browser: Browser, house: House, options: dict[str, Any]) -> Page:
    page = browser.new_context(base_url=house.url, **options).new_page()
    sign_in(page, house)
    is_live(page)
    return page


def take_the_picture(page: Page, house: House) -> None:
    """With something at work."""
    page.set_viewport_size({"width": 1440, "height": 780})
    at_work = house.submit("long-import", {"steps": 12, "seconds": 1})
    until(lambda: (house.execution(at_work)["progress"] or 0) > A_THIRD, within=20)
    page.wait_for_selector("[data-state=running] progress")
    page.screenshot(path=PICTURE)


def pages(scene: Scene) -> dict[str, Callable[[Page], object]]:
    addresses = {
        "board": "/",
        **{f"execution-{name}": f"/executions/{pk}/" for name, pk in scene.items()},
        "executions": "/executions/",
        "events": f"/executions/{scene['completed']}/events/",
        "cancel": f"/executions/{scene['running']}/cancel/",
        "questions": "/questions/",
        "tasks": "/tasks/",
        "task": "/tasks/release-assistant/",
        "run": "/tasks/summarise-csv/run/",
        "workers": "/workers/",
        "admin": "/admin/executions/execution/",
        "api-docs": "/api/docs/",
        "nothing-here": "/nothing/",
    }
    return {name: visit(address) for name, address in addresses.items()}


def visit(address: str) -> Callable[[Page], object]:
    return lambda page: page.goto(address)


def gestures() -> dict[str, Callable[[Page], object]]:
    return {"form": open_the_form, "in-hand": lift_a_card, "login": sign_out}


def open_the_form(page: Page) -> None:
    page.goto("/")
    is_live(page)
    column(page, "planning").locator("[data-task=summarise-csv]").get_by_role("button", name="Run").click()
    page.get_by_role("dialog").get_by_role("button", name="Run").click()
    page.get_by_role("alert").wait_for()


def lift_a_card(page: Page) -> None:
    page.goto("/")
    is_live(page)
    column(page, "planning").locator("[data-task=long-import]").focus()
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")


def sign_out(page: Page) -> None:
    page.context.clear_cookies()
    page.goto("/accounts/login/")


if __name__ == "__main__":
    main()
