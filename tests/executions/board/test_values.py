"""Input and output on the page: a tree, bounded whatever the value is."""

from __future__ import annotations

import json
from typing import Any

from executions.board import values


def shown(value: Any) -> values.Shown:
    text = json.dumps(value)
    return values.shown("output", "Output", text, characters=len(text))


def test_members_stand_at_the_top_and_branches_fold() -> None:
    tree = shown({"rows": 3, "ok": True, "none": None, "who": {"name": "Mira", "tags": ["a", "b"]}, "empty": []})
    rows, ok, none, who, empty = tree.nodes
    assert (rows.key, rows.text, rows.kind) == ("rows", "3", "number")
    assert [node.kind for node in (ok, none)] == ["word", "word"]
    assert (who.kind, who.count, who.is_open) == ("branch", "2 members", True)
    assert (who.children[1].count, who.children[1].is_open) == ("2 items", False)
    assert (empty.kind, empty.text) == ("number", "[]")
    ids = [node.id for node in tree.nodes] + [child.id for child in who.children]
    assert len(set(ids)) == len(ids)


def test_a_value_that_is_no_object_is_one_leaf() -> None:
    assert [(node.key, node.text) for node in shown("done").nodes] == [("", "done")]
    assert [node.text for node in shown({}).nodes] == ["{}"]


def test_many_members_are_text_and_deep_ones_end_in_a_line() -> None:
    many = shown({str(n): n for n in range(1000)})
    assert many.nodes == ()
    assert many.text.startswith("{")
    deep: Any = 1
    for _ in range(100):
        deep = [deep]
    node = shown(deep).nodes[0]
    while node.children:
        node = node.children[0]
    assert node.text.startswith("[[")


def test_of_a_huge_value_the_beginning_is_shown() -> None:
    beginning = '{"a": "' + "x" * values.MOST_TEXT
    huge = values.shown("input", "Input", beginning, characters=3_100_000)
    assert (huge.told, huge.is_cut, huge.nodes) == ("3.1 MB", True, ())
    assert len(huge.text) <= values.LONGEST_LEAF
