"""The board by plain links and forms: a browser without scripts runs, reads, answers and cancels."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser import Complaints, card, column
from tests.services import House, until


@pytest.fixture
def plain(new_page: Callable[..., Page]) -> Page:
    """Signed in, without scripts."""
    return new_page(java_script_enabled=False)


def test_a_task_is_run_from_its_form_and_its_log_read(house: House, plain: Page, complaints: Complaints) -> None:
    plain.locator("#library-summarise-csv").get_by_role("button", name="Run").click()
    plain.get_by_role("button", name="Run", exact=True).click()
    field = plain.get_by_role("textbox", name="CSV")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(plain.get_by_role("alert")).to_contain_text("required")
    assert complaints.take("422")
    field.fill("a,b\n1,2\n3,4\n")
    plain.get_by_role("button", name="Run", exact=True).click()

    pk = newest(house, "summarise-csv")
    house.reaches(pk, "completed")
    plain.goto("/")
    column(plain, "completed").locator(card(plain, pk)).get_by_role("link").first.click()
    expect(plain.get_by_role("log")).to_contain_text("2 records")
    expect(plain.locator("#value-output")).to_contain_text("rows")


def test_a_question_is_answered_by_its_form(house: House, plain: Page) -> None:
    plain.locator("#library-release-assistant").get_by_role("button", name="Run").click()
    pk = newest(house, "release-assistant")
    house.reaches(pk, "waiting")
    plain.goto("/")
    card(plain, pk).get_by_role("link", name="Answer").click()
    plain.get_by_label("Hold").check()
    plain.get_by_role("button", name="Send answer").click()
    expect(plain.locator("#asked")).to_contain_text("Answered by")
    assert house.reaches(pk, "completed")["output"]["deployed"] is False


def test_a_run_is_cancelled_from_its_page(house: House, plain: Page) -> None:
    plain.locator("#library-long-import").get_by_role("button", name="Run").click()
    pk = newest(house, "long-import")
    house.reaches(pk, "running")
    plain.goto(f"/executions/{pk}/")
    plain.get_by_role("button", name="Cancel").click()
    plain.get_by_role("button", name="Stop it").click()
    cancelled = house.reaches(pk, "cancelled")
    plain.reload()
    expect(plain.locator("#hero")).to_contain_text("Cancelled")
    assert cancelled["output"] is None


def newest(house: House, task: str) -> str:
    rows = until(lambda: house.rows(f"executions/?task={task}"), what=f"{task} was not submitted")
    return str(rows[0]["id"])
