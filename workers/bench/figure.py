"""One measured figure, as a JSON line and as a row of a table."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """`measure` is an id of 7-measures or a row's name; percentiles have `unit`, and so has `value`, a figure without spread.

    `per_s` is a rate; `ratio` that rate to raw Celery's in the same run.
    """

    measure: str
    database: str
    unit: str = ""
    n: int = 1
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    value: float | None = None
    per_s: float | None = None
    ratio: float | None = None
    limit: str = ""

    def as_json(self) -> str:
        return json.dumps({name: value for name, value in asdict(self).items() if value not in (None, "")})


def spread(measure: str, database: str, samples: Sequence[float], *, unit: str, limit: str = "") -> Figure:
    """The percentiles of samples (nearest rank), in `unit`."""
    ordered = sorted(samples)

    def percentile(part: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(part * len(ordered)))], 2)

    middle = round(statistics.median(ordered), 2)
    return Figure(measure, database, unit, len(ordered), middle, percentile(0.95), percentile(0.99), limit=limit)


def table(figures: Iterable[Figure]) -> str:
    """Rows for a terminal."""
    rows = [["measure", "database", "n", "p50", "p95", "p99", "value", "per s", "ratio", "unit", "asked"]]
    for figure in figures:
        told = (figure.n, figure.p50, figure.p95, figure.p99, figure.value, figure.per_s, figure.ratio)
        cells = ["–" if cell is None else f"{cell:g}" for cell in told]
        rows.append([figure.measure, figure.database, *cells, figure.unit, figure.limit])
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)) for row in rows)
