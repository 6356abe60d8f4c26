"""On a phone one thumb is enough, and in the dark every page is dark: nothing to scroll sideways, nothing too small to hit."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser import PHONE, card, column
from tests.services import House

PAGES = (
    "/",
    "/executions/",
    "/questions/",
    "/tasks/",
    "/tasks/summarise-csv/",
    "/tasks/summarise-csv/run/",
    "/schedules/",
    "/workers/",
)
THUMB = 44  # px


@pytest.fixture
def phone(new_page: Callable[..., Page]) -> Page:
    return new_page(**PHONE)


def test_a_question_is_found_and_answered_with_one_thumb(house: House, phone: Page) -> None:
    pk = house.submit("release-assistant")
    house.reaches(pk, "waiting")
    tabs = phone.get_by_role("navigation", name="Columns")
    expect(tabs.get_by_role("link", name="Running")).to_contain_text(str(running(phone)))
    tabs.get_by_role("link", name="Running").tap()
    expect(column(phone, "running")).to_be_in_viewport(ratio=0.9)
    expect(column(phone, "planning")).not_to_be_in_viewport()
    answer = card(phone, pk).get_by_role("link", name="Answer")
    assert_fits_a_thumb(answer)
    answer.tap()

    form = phone.locator("form.answer")
    assert_fits_a_thumb(form.get_by_role("button", name="Send answer"))
    hold = form.locator("label").filter(has_text="Hold")
    assert_fits_a_thumb(hold)
    hold.tap()
    assert_nothing_scrolls_sideways(phone)
    form.get_by_role("button", name="Send answer").tap()
    expect(phone.locator("#hero")).to_contain_text("Completed")
    assert house.execution(pk)["output"]["deployed"] is False


def test_a_task_is_run_from_the_library_of_a_phone(house: House, phone: Page) -> None:
    phone.get_by_role("button", name="Open the library").tap()
    run = phone.locator("#library-summarise-csv").get_by_role("button", name="Run")
    assert_fits_a_thumb(run)
    run.tap()
    form = phone.get_by_role("dialog", name="Form")
    assert_nothing_scrolls_sideways(phone)
    form.get_by_role("textbox", name="CSV").fill("a,b\n1,2\n")
    send = form.get_by_role("button", name="Run")
    assert_fits_a_thumb(send)
    send.tap()
    expect(form).to_be_hidden()
    pk = house.api("GET", "executions/?task=summarise-csv&limit=1")[1]["results"][0]["id"]
    phone.get_by_role("navigation", name="Columns").get_by_role("link", name="Completed").tap()
    expect(card(phone, pk)).to_be_visible()


def test_no_page_of_a_phone_scrolls_sideways_and_its_buttons_fit_a_thumb(house: House, phone: Page) -> None:
    failed = house.submit("summarise-csv", {"csv": "\n"})
    house.reaches(failed, "failed")
    for address in (*PAGES, f"/executions/{failed}/", f"/executions/{failed}/events/"):
        phone.goto(address)
        assert_nothing_scrolls_sideways(phone)
        for target in visible(phone.locator(".tabbar a, .tabbar button, main .btn")):
            assert_fits_a_thumb(target)


def test_every_page_is_dark_where_the_system_is(house: House, new_page: Callable[..., Page]) -> None:
    dark = new_page(color_scheme="dark")
    failed = house.submit("summarise-csv", {"csv": "\n"})
    house.reaches(failed, "failed")
    for address in (*PAGES, f"/executions/{failed}/"):
        dark.goto(address)
        assert lightness(dark, "background-color") < 0.15
        assert lightness(dark, "color") > 0.7
    dark.get_by_role("button", name="Switch between light and dark").click()
    assert lightness(dark, "background-color") > 0.85
    dark.goto("/")
    assert lightness(dark, "background-color") > 0.85, "the choice is kept"


def running(page: Page) -> str:
    return str(column(page, "running").get_attribute("data-count"))


def visible(targets: Locator) -> Iterator[Locator]:
    return (target for target in targets.all() if target.is_visible())


def assert_fits_a_thumb(target: Locator) -> None:
    target.scroll_into_view_if_needed()
    box = target.bounding_box()
    assert box
    assert min(box["width"], box["height"]) >= THUMB - 0.5, f"{target.inner_text()!r} is {box}"


def assert_nothing_scrolls_sideways(page: Page) -> None:
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0, f"{page.url} is {wide} px too wide"


def lightness(page: Page, what: str) -> float:
    """Of a page's background or text, from 0 to 1, as it is painted."""
    return float(
        page.evaluate(
            """what => {
                const canvas = document.createElement("canvas").getContext("2d");
                canvas.fillStyle = getComputedStyle(document.getElementById("main")).getPropertyValue(what);
                canvas.fillRect(0, 0, 1, 1);
                const [red, green, blue] = canvas.getImageData(0, 0, 1, 1).data;
                return (red + green + blue) / 3 / 255;
            }""",
            what,
        )
    )
