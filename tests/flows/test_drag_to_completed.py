"""Somebody runs a task from the board: by the mouse, by keys, by its button; and everybody sees it move by itself."""

import csv
import io
import re
from collections.abc import Callable, Sequence
from itertools import groupby

from playwright.sync_api import Page, expect

from tests.browser import Complaints, card, column, drag, plan_of, sights, watch
from tests.services import House

PEOPLE = [("name", "größe, cm", "city"), ("Ada", "172", "Zürich"), ("Bo", "", 'New "York", NY'), ("Čeněk", "180", "")]


def test_a_csv_is_dragged_to_pending_and_completes_in_every_window(
    house: House, new_page: Callable[..., Page], complaints: Complaints
) -> None:
    mine, theirs = new_page(), new_page()
    plan = plan_for(house, "summarise-csv", mine)

    drag(mine, plan_of(mine, plan), column(mine, "pending"))
    form = mine.get_by_role("dialog")
    field = form.get_by_role("textbox", name="CSV")
    form.get_by_role("button", name="Run").click()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(form.get_by_role("alert")).to_contain_text("required")
    assert complaints.take("422"), "it is the server that refuses"
    assert house.api("GET", f"plans/{plan}/")[1]["state"] == "planned"

    field.fill(as_csv(PEOPLE))
    form.get_by_role("button", name="Run").click()
    expect(form).to_be_hidden()
    pk = newest(house, "summarise-csv")
    for window in (mine, theirs):
        expect(column(window, "completed").locator(card(window, pk))).to_be_visible()
        expect(plan_of(window, plan)).to_have_count(0)

    card(mine, pk).get_by_role("link").first.click()
    expect(mine.get_by_role("log")).to_contain_text("3 records")
    expect(mine.locator("#timeline")).to_contain_text("Attempt 1")
    expect(mine.locator("#value-output")).to_contain_text("größe, cm")
    assert house.execution(pk)["output"]["rows"] == len(PEOPLE) - 1


def test_a_card_that_keys_brought_to_pending_shows_how_far_it_is_in_every_window(
    house: House, new_page: Callable[..., Page]
) -> None:
    mine, theirs = new_page(), new_page()
    plan = plan_for(house, "long-import", mine, steps=3, seconds=0.6)
    for window in (mine, theirs):
        watch(window)

    plan_of(mine, plan).focus()
    for key in ("Space", "ArrowRight", "Space"):
        mine.keyboard.press(key)
    expect(mine.locator("#announcer")).to_contain_text(re.compile(r"EX-\d+ is in"))
    pk = newest(house, "long-import")
    for window in (mine, theirs):
        expect(column(window, "completed").locator(card(window, pk))).to_be_visible()
        moved = [where for where, _ in groupby(where for where, _ in sights(window, pk))]
        assert moved[-2:] == ["running", "completed"]
        assert moved[:-2] in ([], ["pending"]), "never backwards, never twice"
        assert any(re.search(r"(?is)part \d of 3.*\d+%", text) for _, text in sights(window, pk)), sights(window, pk)
    expect(card(mine, pk)).to_be_focused()


def test_escape_puts_a_lifted_card_back(house: House, page: Page) -> None:
    plan = plan_for(house, "log-fountain", page)
    plan_of(page, plan).focus()
    for key in ("Space", "ArrowRight", "Escape"):
        page.keyboard.press(key)
    expect(page.locator("#announcer")).to_contain_text("is back in Planning")
    expect(column(page, "planning").locator(plan_of(page, plan))).to_be_focused()
    assert house.api("GET", f"plans/{plan}/")[1]["state"] == "planned"


def test_a_drop_where_nothing_takes_the_card_changes_nothing_and_says_why(house: House, page: Page) -> None:
    plan = plan_for(house, "log-fountain", page)
    drag(page, plan_of(page, plan), column(page, "completed"))
    expect(page.locator("#toasts")).to_contain_text("A card comes to Completed by itself")
    expect(page.locator("#toasts")).to_contain_text("Pending (Run)")
    expect(column(page, "planning").locator(plan_of(page, plan))).to_be_visible()


def test_a_double_click_on_run_makes_one_execution(house: House, page: Page) -> None:
    plan = plan_for(house, "log-fountain", page, lines=5)
    plan_of(page, plan).get_by_role("button", name="Run").dblclick()
    expect(plan_of(page, plan)).to_have_count(0)
    assert [run["plan"] for run in executions(house, "log-fountain")].count(int(plan)) == 1
    pk = newest(house, "log-fountain")
    expect(column(page, "completed").locator(card(page, pk))).to_be_visible()


def plan_for(house: House, task: str, page: Page, **given: object) -> str:
    """A new plan, once it has appeared on the board by itself; its id."""
    status, plan = house.api("POST", "plans/", {"task": task, "input": given or None})
    assert status == 201, plan
    expect(plan_of(page, plan["id"])).to_be_visible()
    return str(plan["id"])


def executions(house: House, task: str) -> list[dict[str, object]]:
    return house.rows(f"executions/?task={task}")


def newest(house: House, task: str) -> str:
    return str(executions(house, task)[0]["id"])


def as_csv(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
