"""Figures as JSON lines and rows."""

import json

from workers.bench.figure import Figure, spread, table


def test_percentiles_are_of_the_samples() -> None:
    figure = spread("L4", "sqlite", [float(n) for n in range(1, 101)], unit="ms")
    assert (figure.n, figure.p50, figure.p95, figure.p99) == (100, 50.5, 96.0, 100.0)


def test_one_sample_is_every_percentile() -> None:
    figure = spread("F0", "sqlite", [2.0], unit="s")
    assert {figure.p50, figure.p95, figure.p99} == {2.0}


def test_a_line_leaves_out_what_was_not_measured() -> None:
    told = json.loads(Figure("L14", "sqlite", "MiB", value=282).as_json())
    assert told == {"measure": "L14", "database": "sqlite", "unit": "MiB", "n": 1, "value": 282}


def test_a_table_has_a_row_a_figure() -> None:
    rows = table([spread("a", "sqlite", [1.0], unit="ms"), Figure("b", "–", "s", value=0.5)]).splitlines()
    assert [row.split()[0] for row in rows] == ["measure", "a", "b"]
