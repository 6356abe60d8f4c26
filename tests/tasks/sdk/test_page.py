"""docs/tasks.md does what it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tasks import sdk as runboard
from tasks.sdk import testing
from tests.services import ROOT

PAGE = (ROOT / "docs" / "tasks.md").read_text()
SCRIPT, WAITS, STEPS, _, TRIAL = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_page_s_own_example_runs(tmp_path: Path) -> None:
    path = tmp_path / "greet.py"
    path.write_text(SCRIPT)
    exec(compile(TRIAL.replace("greet.py", str(path)), "docs/tasks.md", "exec"), {})


def test_the_page_s_flow_waits_and_takes_both_ways(tmp_path: Path) -> None:
    path = tmp_path / "settle.py"
    path.write_text("import runboard\n" + WAITS)
    children = {"payment": {"paid": 12}, "stock": "taken", "remind": None, "refuse": None}
    settled = testing.run(str(path), {"order": "A"}, children=children, signals={"delivered": "yes"})
    assert (settled.output, settled.sleeps) == ({"paid": 12}, [604_800])
    reminded = testing.run(str(path), {"order": "A"}, children=children)
    assert [child["task"] for child in reminded.children] == ["payment", "stock", "remind"]
    with pytest.raises(runboard.ChildFailed, match="“payment” #1 failed: ValueError: no"):
        testing.run(str(path), {"order": "A"}, children=children | {"payment": ValueError("no")})


def test_the_page_s_patient_step_is_one() -> None:
    gateway = type("Gateway", (), {"charge": staticmethod(lambda order, amount: [order, amount])})

    def main() -> Any:
        known: dict[str, Any] = {"runboard": runboard, "gateway": gateway, "order": "A", "amount": 12}
        exec(compile(STEPS, "docs/tasks.md", "exec"), known)
        return known["charge"]

    assert testing.run(main).output == ["A", 12]


def test_the_page_names_every_verb() -> None:
    words = set(re.findall(r"\w+", PAGE))
    assert set(runboard.__all__) - words <= {"Cancelled", "Misuse"}
