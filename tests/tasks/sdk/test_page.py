"""docs/tasks.md does what it says."""

from __future__ import annotations

import re
from pathlib import Path

from tests.services import ROOT

PAGE = (ROOT / "docs" / "tasks.md").read_text()


def test_the_page_s_own_example_runs(tmp_path: Path) -> None:
    script, _, trial = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    path = tmp_path / "greet.py"
    path.write_text(script)
    exec(compile(trial.replace("greet.py", str(path)), "docs/tasks.md", "exec"), {})
