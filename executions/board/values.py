"""Input and output as a person looks at them: a tree that folds, bounded however large the value is. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from executions.board.wording import plural, size

MOST_TEXT = 64 * 1024  # characters of a value that are looked at; the rest is a download
MOST_NODES = 300
DEEPEST = 12
LONGEST_LEAF = 2000
OPEN_UNTIL = 2  # levels that stand open at first


@dataclass(frozen=True, slots=True)
class Node:
    """One member: a leaf with its `text`, or a branch with its `children`, which fold."""

    id: str
    key: str
    text: str
    kind: str  # text | number | word | branch
    children: tuple[Node, ...] = ()
    count: str = ""
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Shown:
    """A value on the page: a tree, or the beginning of its text where it is too large for one."""

    name: str
    title: str
    told: str
    nodes: tuple[Node, ...] = ()
    text: str = ""
    is_cut: bool = False


def shown(name: str, title: str, text: str, *, characters: int) -> Shown:
    """A value from (the beginning of) its JSON text; `characters` is how long the whole text is."""
    told = size(characters)
    if characters > len(text):
        return Shown(name, title, told, text=text[:LONGEST_LEAF], is_cut=True)
    value = json.loads(text)
    if _count(value, MOST_NODES) > MOST_NODES:
        pretty = json.dumps(value, ensure_ascii=False, indent=2)
        return Shown(name, title, told, text=pretty[:MOST_TEXT], is_cut=len(pretty) > MOST_TEXT)
    return Shown(name, title, told, nodes=tuple(_top(value, name)))


def _top(value: Any, name: str) -> Iterator[Node]:
    """A value's own members stand at the top; anything else is one leaf."""
    if isinstance(value, dict | list) and value:
        yield from _children(value, name, depth=1)
    else:
        yield _node("", value, name, depth=1)


def _children(value: Any, at: str, *, depth: int) -> Iterator[Node]:
    members = value.items() if isinstance(value, dict) else enumerate(value)
    for index, (key, part) in enumerate(members):
        yield _node(str(key), part, f"{at}-{index}", depth=depth)


def _node(key: str, value: Any, at: str, *, depth: int) -> Node:
    if isinstance(value, dict | list) and value and depth < DEEPEST:
        count = plural(len(value), "member") if isinstance(value, dict) else plural(len(value), "item")
        children = tuple(_children(value, at, depth=depth + 1))
        return Node(at, key, "", "branch", children, count, is_open=depth < OPEN_UNTIL)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    kind = "text" if isinstance(value, str) else "word" if value is None or isinstance(value, bool) else "number"
    return Node(at, key, text if len(text) <= LONGEST_LEAF else text[:LONGEST_LEAF] + "…", kind)


def _count(value: Any, most: int) -> int:
    """How many nodes the tree would have, counted a bit beyond `most`."""
    if not isinstance(value, dict | list):
        return 1
    total = 1
    for part in value.values() if isinstance(value, Mapping) else value:
        total += _count(part, most - total)
        if total > most:
            break
    return total
