"""docs/board.png: the board of a house in which something happens. `make picture`."""

import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser import sign_in
from tests.services import CHROMIUM, CHROMIUM_FLAGS, ROOT, House, start_house, until

PICTURE = ROOT / "docs" / "board.png"
A_THIRD = 0.3
SIZE = {"width": 1440, "height": 900}
CSV = "city,people\nBergen,291940\nOslo,717710\nTromsø,78745\n"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="runboard-picture-") as folder:
        house = start_house(Path(folder) / "home")
        try:
            house.wait_ready()
            set_the_scene(house)
            take_the_picture(house)
        finally:
            house.stop()


def set_the_scene(house: House) -> None:
    """Something done, something that went wrong, something at work and something that asks."""
    done = [house.submit("summarise-csv", {"csv": CSV}), house.submit("flaky-gateway")]
    wrong = house.submit("summarise-csv", {"csv": "\n"})
    asks = house.submit("release-assistant")
    for execution in done:
        house.reaches(execution, "completed")
    house.reaches(wrong, "failed")
    house.reaches(asks, "waiting")
    at_work = house.submit("long-import", {"steps": 12, "seconds": 1})
    until(lambda: (house.execution(at_work)["progress"] or 0) > A_THIRD, within=20)


def take_the_picture(house: House) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        page = browser.new_context(base_url=house.url, viewport=SIZE).new_page()  # type: ignore[arg-type]
        sign_in(page, house)
        page.wait_for_selector("[data-state=running]")
        page.screenshot(path=PICTURE)
        browser.close()


if __name__ == "__main__":
    main()
