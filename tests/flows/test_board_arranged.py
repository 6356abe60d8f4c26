"""Somebody arranges the board by hand: plans come from the library, take their places and leave; a run is stopped."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser import card, column, drag, plan_of
from tests.services import House


def test_a_task_is_planned_given_its_place_and_removed_by_dragging(house: House, new_page: Callable[..., Page]) -> None:
    mine, theirs = new_page(), new_page()
    before = plans(house)

    drag(mine, mine.locator("#library-flaky-gateway"), column(mine, "planning"))
    expect(mine.locator("#announcer")).to_contain_text("is in Planning")
    (made,) = set(plans(house)) - set(before)
    for window in (mine, theirs):
        expect(column(window, "planning").locator(".card").first).to_have_id(f"plan-{made}")

    plan_of(mine, made).focus()
    for key in ("Space", "ArrowDown", "ArrowDown", "Space"):
        mine.keyboard.press(key)
    for window in (mine, theirs):
        expect(column(window, "planning").locator(".card").nth(2)).to_have_id(f"plan-{made}")
    assert plans(house) == [*before[:2], made, *before[2:]]

    drag(mine, plan_of(mine, made), mine.locator("#drawer"))
    for window in (mine, theirs):
        expect(plan_of(window, made)).to_have_count(0)
    assert plans(house) == before


def test_a_running_card_dragged_to_planning_is_stopped_once_that_is_confirmed(house: House, page: Page) -> None:
    pk = house.submit("long-import", {"steps": 60, "seconds": 1})
    running = column(page, "running").locator(card(page, pk))
    expect(running).to_have_attribute("data-state", "running")

    drag(page, running, column(page, "planning"))
    page.get_by_role("button", name="Keep it running").click()
    expect(page.locator("#announcer")).to_contain_text("goes on")
    assert house.execution(pk)["state"] == "running"

    drag(page, running, column(page, "planning"))
    page.get_by_role("button", name="Cancel it").click()
    house.reaches(pk, "cancelled")
    expect(card(page, pk)).to_have_count(0)
    page.reload()
    expect(page.get_by_role("link", name="Stopped")).to_be_visible()


def plans(house: House) -> list[int]:
    """The ids of what stands in Planning, in its order."""
    return [int(plan["id"]) for plan in house.rows("plans/") if plan["state"] == "planned"]
