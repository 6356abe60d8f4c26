"""The browsable API in a real browser: it works from the house alone, within its policy."""

from __future__ import annotations

from urllib.parse import urlsplit

from playwright.sync_api import Page

from tests.services import House


def test_the_browsable_api_works_offline_and_within_its_policy(page: Page, house: House) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/api/docs/")
    page.wait_for_selector("#operations-executions-executions_create")
    page.click("#operations-executions-executions_list .opblock-summary")
    page.click("#operations-executions-executions_list .try-out__btn")
    page.click("#operations-executions-executions_list .execute")
    page.wait_for_selector(
        "#operations-executions-executions_list .live-responses-table .response-col_status >> text=200"
    )
    assert {urlsplit(url).netloc for url in asked if not url.startswith("data:")} == {urlsplit(house.url).netloc}


def test_what_is_tried_in_the_browser_is_done(page: Page, house: House) -> None:
    page.goto("/api/docs/")
    page.click("#operations-plans-plans_create .opblock-summary")
    page.click("#operations-plans-plans_create .try-out__btn")
    page.fill("#operations-plans-plans_create textarea", '{"task": "release-assistant", "note": "tried"}')
    page.click("#operations-plans-plans_create .execute")
    page.wait_for_selector("#operations-plans-plans_create .live-responses-table .response-col_status >> text=201")
