"""The docs name what there is: variables, commands, targets, files and tests."""

import re
from pathlib import Path

import pytest
from django.core.management import get_commands

from tests.services import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
EVERYTHING = "\n".join(page.read_text() for page in PAGES)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_environment_variable_is_told_in_operations() -> None:
    read = set(re.findall(r'_env\.\w+\("(\w+)"', (ROOT / "config" / "env.py").read_text()))
    told = set(re.findall(r"^\| `(\w+)`", OPERATIONS, re.MULTILINE))
    assert read - told == set()
    assert {variable for variable in told - read if variable not in (ROOT / "bootstrap.py").read_text()} == set()


def test_every_command_of_ours_is_told() -> None:
    ours = {command for command, room in get_commands().items() if room in {"tasks", "executions", "workers"}}
    assert [command for command in sorted(ours - {"prepare"}) if f"manage.py {command}" not in EVERYTHING] == []


def test_every_command_that_is_told_exists() -> None:
    told = set(re.findall(r"manage\.py ([a-z_]+)", EVERYTHING))
    assert told - set(get_commands()) - {"help"} == set()


def test_every_target_that_is_told_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z]+)`|^ {4}make ([a-z]+)", EVERYTHING, re.MULTILINE)) <= {
        pair for target in targets for pair in ((target, ""), ("", target))
    }


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://|mailto:|#)([^)#\s]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = [int(path.name[:4]) for path in sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))


def test_every_test_that_the_acceptance_list_names_exists() -> None:
    listed = (ROOT / "docs" / "acceptance.md").read_text()
    named = set(re.findall(r"\btest_\w+(?:\.py)?", listed))
    there = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    there |= {
        found
        for path in (ROOT / "tests").rglob("test_*.py")
        for found in re.findall(r"def (test_\w+)", path.read_text())
    }
    assert named, "docs/acceptance.md names the test that holds each statement"
    assert named - there - {path.removesuffix(".py") for path in there} == set()
