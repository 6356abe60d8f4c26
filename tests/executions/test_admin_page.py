"""The admin in a real browser: it works within the policy of every page."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.services import House


def test_somebody_finds_an_execution_and_cancels_it(page: Page, house: House) -> None:
    pk = house.submit("summarise-csv", {"csv": "a"}, start_at="2999-01-01T00:00:00Z", title="Not yet")
    page.goto("/admin/")
    page.click("text=Executions >> nth=-1")
    page.fill("#searchbar", pk)
    page.press("#searchbar", "Enter")
    page.click("th.field-title a, td.field-title a")
    expect(page.locator(".field-state")).to_contain_text("pending")
    page.click("text=Events")
    expect(page.locator("#result_list")).to_contain_text("submitted")
    page.goto(f"/admin/executions/execution/?q={pk}")
    page.check("input.action-select")
    page.select_option("select[name=action]", "cancel")
    page.click("button[name=index]")
    expect(page.locator(".messagelist")).to_contain_text("1 told to stop.")
    assert house.execution(pk)["state"] == "cancelled"
