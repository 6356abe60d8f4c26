"""One row of docs/measures.md about faults, as a JSON line and for a table."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from workers.bench.scratch import ROOT


@dataclass(frozen=True, slots=True)
class Finding:
    """`measure` is an id of 7-measures; `n` executions or repeats; `broke` what did not hold, empty where all did."""

    measure: str
    database: str
    n: int
    faults: int
    asked: str
    found: str
    seconds: float = 0.0
    seed: int | None = None
    broke: list[str] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        return not self.broke

    def as_json(self) -> str:
        rest = {name: value for name, value in asdict(self).items() if name != "more" and value is not None}
        return json.dumps({**rest, **self.more, "holds": self.holds, "commit": commit()})


def commit() -> str:
    """The tree that was measured; empty where it is no checkout."""
    said = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return said.stdout.strip()


def table(findings: Iterable[Finding]) -> str:
    """Rows for a terminal."""
    rows = [["measure", "database", "n", "faults", "holds", "asked", "found"]]
    rows += [
        [row.measure, row.database, str(row.n), str(row.faults), "yes" if row.holds else "NO", row.asked, row.found]
        for row in findings
    ]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
