"""The SDK stands alone: the standard library, relative imports, and quick to load."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import tasks.sdk

SDK = Path(tasks.sdk.__file__).parent
SLOW = {
    "asyncio",
    "dataclasses",
    "inspect",
    "typing",
    "traceback",
    "threading",
    "subprocess",
    "datetime",
    "hashlib",
    "socket",
}


def test_it_loads_where_nothing_else_is_installed() -> None:
    program = f"""
import sys, importlib.util
spec = importlib.util.spec_from_file_location(
    "runboard", {str(SDK / "__init__.py")!r}, submodule_search_locations=[{str(SDK)!r}])
runboard = sys.modules["runboard"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(runboard)
import runboard.testing, runboard.protocol, runboard.__main__, runboard.shell, runboard.command
print(runboard.testing.run(lambda n: runboard.step("a", abs, n), {{"n": -3}}).output)
"""
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True, env={}
    )
    assert ran.stdout == "3\n"


@pytest.mark.parametrize("path", sorted(SDK.glob("*.py")), ids=lambda path: path.stem)
def test_it_imports_the_standard_library_and_itself_alone(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level in (0, 1)
            names = [node.module] if node.module and node.level == 0 else []
        assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names


def test_an_authors_first_line_does_not_wait_for_slow_modules() -> None:
    program = f"import sys; sys.path.insert(0, {str(SDK.parents[1])!r}); import tasks.sdk.__main__; print(*sys.modules)"
    command = [sys.executable, "-I", "-S", "-c", program]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, env={})
    assert not SLOW & set(ran.stdout.split())
