"""The onboarding's script and its parts, without a house."""

from typing import Any

from tasks.manifest import DEMO
from tasks.sdk import testing

FOLDER = DEMO / "onboarding"


def played(*, approves: bool) -> testing.Result:
    def of(part: str) -> Any:
        return lambda given: testing.run(str(FOLDER / part / "main.py"), given | {"seconds": 0}).output

    children = {f"onboarding-{part}": of(part) for part in ("check", "accounts", "orientation")}
    return testing.run(str(FOLDER / "main.py"), answers={"approval": approves}, children=children)


def test_who_is_approved_starts_on_the_first_day() -> None:
    result = played(approves=True)
    assert result.output == {
        "name": "Grace Hopper",
        "started": True,
        "accounts": ["grace@mail", "grace@code", "grace@payroll"],
        "orientation": ["Welcome", "How we work", "First task"],
    }
    assert result.sleeps == [3]
    assert [child["task"] for child in result.children] == [
        "onboarding-check", "onboarding-accounts", "onboarding-orientation",
    ]  # fmt: skip


def test_the_accounts_of_who_is_not_approved_are_closed() -> None:
    result = played(approves=False)
    assert result.output == {"name": "Grace Hopper", "started": False}
    assert result.sleeps == []
    assert result.children[-1]["input"]["close"] is True


def test_a_person_is_asked_once_both_parts_have_come_to_their_end() -> None:
    children = {"onboarding-check": {"passed": True, "references": 2}, "onboarding-accounts": {"accounts": []}}
    result = testing.run(str(FOLDER / "main.py"), children=children)
    assert result.question is not None
    assert result.question["recommended"] is True
    assert "The background check passed, with 2 references." in result.question["prompt"]
    assert len(result.children) == 2
