"""A new colleague: two parts side by side, a person's word, a first day that is waited for, and the orientation."""

from typing import Any

from tests.services import House, until

BEFORE = 60  # seconds in which each part of it has come to its end


def test_who_is_approved_has_accounts_and_an_orientation_on_the_first_day(house: House) -> None:
    pk = house.submit("onboarding", {"name": "Grace Hopper", "first_day": 2, "seconds": 0.1})
    asking = the_question(house, pk)
    assert "The background check passed, with 2 references." in asking["prompt"]
    assert house.execution(pk)["worker"] is None, "while it waits it holds no worker"
    both = house.rows(f"executions/{pk}/children/")
    assert {child["task"]: child["state"] for child in both} == {
        "onboarding-check": "completed",
        "onboarding-accounts": "completed",
    }
    started = sorted((child["started_at"], child["finished_at"]) for child in both)
    assert started[1][0] < started[0][1], "side by side"

    answer(house, asking, value=True)
    done = house.reaches(pk, "completed", "failed", within=BEFORE)
    assert done["state"] == "completed", done["error"]
    assert done["output"]["accounts"] == ["grace@mail", "grace@code", "grace@payroll"]
    assert done["output"]["orientation"] == ["Welcome", "How we work", "First task"]
    kinds = [event["kind"] for event in house.rows(f"executions/{pk}/events/")]
    assert [kind for kind in kinds if kind in ("child_started", "asked", "answered", "slept", "woken")] == [
        "child_started",
        "asked",
        "answered",
        "slept",
        "woken",
        "child_started",
    ]


def test_the_accounts_of_who_is_not_approved_are_closed(house: House) -> None:
    pk = house.submit("onboarding", {"seconds": 0.1})
    answer(house, the_question(house, pk), value=False)
    done = house.reaches(pk, "completed", "failed", within=BEFORE)
    assert done["output"] == {"name": "Grace Hopper", "started": False}
    tasks = [child["task"] for child in house.rows(f"executions/{pk}/children/")]
    assert tasks.count("onboarding-accounts") == 2
    assert "onboarding-orientation" not in tasks


def the_question(house: House, pk: str) -> dict[str, Any]:
    def asked() -> dict[str, Any] | None:
        return next(iter(house.rows(f"executions/{pk}/questions/")), None)

    return until(asked, within=BEFORE, what="nobody was asked")


def answer(house: House, question: dict[str, Any], *, value: bool) -> None:
    status, said = house.api("POST", f"questions/{question['id']}/answer/", {"value": value})
    assert status == 200, said
