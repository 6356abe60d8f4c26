"""A run asks a person before it goes on; while it waits it holds no worker, and whoever looks at the board sees it wait."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser import Complaints, card, column
from tests.services import House


def test_a_question_is_seen_everywhere_holds_no_worker_and_its_answer_goes_on(
    house: House, new_page: Callable[..., Page]
) -> None:
    mine, theirs = new_page(), new_page()
    pk = house.submit("release-assistant", {"version": "2.4.1"})
    for window in (mine, theirs):
        asking = column(window, "running").locator(card(window, pk))
        expect(asking.locator("[data-reason]")).to_contain_text("Deploy 2.4.1 to production?")
        expect(asking).to_contain_text(re.compile("waiting for you", re.IGNORECASE))
        expect(window.locator(".rail [data-questions]")).to_have_text(str(open_questions(house)))
        expect(window).to_have_title(re.compile(rf"^\({open_questions(house)}\) "))
    assert house.api("GET", "workers/")[1]["results"][0]["busy"] == 0
    assert house.execution(pk)["worker"] is None

    card(mine, pk).get_by_role("link", name="Answer").click()
    question = mine.locator(f"[id=question-{the_question(house, pk)['id']}]")
    expect(question).to_contain_text("All users get it within a minute.")
    question.get_by_label("Deploy now").check()
    question.get_by_role("button", name="Send answer").click()
    expect(question).to_contain_text("Answered by")
    expect(mine.locator("#hero")).to_contain_text("Completed")

    expect(column(theirs, "completed").locator(card(theirs, pk))).to_be_visible()
    expect(theirs).not_to_have_title(re.compile(rf"^\({open_questions(house) + 1}\) "))
    done = house.execution(pk)
    assert done["output"] == {"version": "2.4.1", "deployed": True, "decision": "deploy"}
    assert the_question(house, pk)["answered_by"] == f"user:{house.user}"


def test_of_two_people_at_once_the_second_sees_who_answered(
    house: House, new_page: Callable[..., Page], complaints: Complaints
) -> None:
    pk = house.submit("release-assistant")
    house.reaches(pk, "waiting")
    first, second = new_page(), new_page()
    form = f"[id=question-{the_question(house, pk)['id']}]"
    for window in (first, second):
        window.route_web_socket("**/ws/**", lambda socket: socket.close())  # neither hears of the other
        window.goto(f"/executions/{pk}/")
        window.locator(form).get_by_label("Hold").check()
    first.locator(form).get_by_role("button", name="Send answer").click()
    expect(first.locator(form)).to_contain_text("Answered by")
    second.locator(form).get_by_role("button", name="Send answer").click()
    expect(second.get_by_role("alert")).to_contain_text(f"{house.user} answered this already")
    assert complaints.take("409")

    house.reaches(pk, "completed")
    kinds = [event["kind"] for event in house.rows(f"executions/{pk}/events/")]
    assert kinds.count("answered") == 1
    assert kinds.count("claimed") == 2, "it went on once"


def the_question(house: House, pk: str) -> dict[str, object]:
    (question,) = house.rows(f"executions/{pk}/questions/")
    return question


def open_questions(house: House) -> int:
    return len([question for question in house.rows("questions/") if question["state"] == "open"])
