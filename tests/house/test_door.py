"""Only the door changes the state of an execution: no other file of the house writes one."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services import ROOT

DOOR = ROOT / "executions" / "transitions"
# A plan has a state of its own; its verbs are here.
PLANS = {ROOT / "tasks" / "planning.py"}
WRITERS = {"update", "create", "bulk_create", "bulk_update", "get_or_create", "update_or_create", "aupdate", "acreate"}


def sources() -> Iterator[Path]:
    for room in ("tasks", "executions", "workers"):
        for path in (ROOT / room).rglob("*.py"):
            if not path.is_relative_to(DOOR) and "migrations" not in path.parts and path not in PLANS:
                yield path


def writes(tree: ast.AST) -> Iterator[int]:
    """The lines that write a state, in any of the ways that follow."""
    ways = (assigns, passes, sets, says_in_sql)
    return (node.lineno for node in ast.walk(tree) if isinstance(node, ast.expr) and any(way(node) for way in ways))


def assigns(node: ast.expr) -> bool:
    """`something.state = …`, save for `self.state` of things that are no rows."""
    stores = isinstance(node, ast.Attribute) and node.attr == "state" and isinstance(node.ctx, ast.Store)
    return stores and ast.unparse(node) != "self.state"


def passes(node: ast.expr) -> bool:
    """`….update(state=…)` and its like."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr not in WRITERS:
        return False
    return any(keyword.arg == "state" for keyword in node.keywords)


def sets(node: ast.expr) -> bool:
    """`setattr(…, "state", …)`."""
    return isinstance(node, ast.Call) and ast.unparse(node).startswith("setattr(") and "'state'" in ast.unparse(node)


def says_in_sql(node: ast.expr) -> bool:
    text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
    return " ".join(text.lower().split()).startswith("update executions_execution")


def test_no_file_but_the_door_writes_a_state() -> None:
    found = {f"{path.relative_to(ROOT)}:{line}" for path in sources() for line in writes(ast.parse(path.read_text()))}
    assert found == set()


@pytest.mark.parametrize(
    "line",
    [
        "execution.state = 'completed'",
        "Execution.objects.filter(pk=1).update(state='completed')",
        "setattr(execution, 'state', 'completed')",
        "cursor.execute('UPDATE executions_execution SET state = 1')",
    ],
)
def test_this_test_sees_who_goes_round_the_door(line: str) -> None:
    assert list(writes(ast.parse(line))) == [1]
