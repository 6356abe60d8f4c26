"""The order of the rooms is kept by import-linter; here is what it cannot see."""

import subprocess
import sys

from tests.services import ROOT


def test_every_room_imports_only_downward() -> None:
    linted = subprocess.run([f"{sys.prefix}/bin/lint-imports", "--no-logo"], cwd=ROOT, capture_output=True, text=True)
    assert linted.returncode == 0, linted.stdout


def test_the_sdk_loads_where_nothing_is_installed() -> None:
    """-I and -S leave the standard library alone, as on an author's machine or inside a sandbox."""
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); import tasks.sdk, tasks.sdk.testing, tasks.sdk.protocol; "
        "print(*{name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names)"
    )
    loaded = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True)
    assert loaded.returncode == 0, loaded.stderr
    assert set(loaded.stdout.split()) <= {"tasks", "__main__"}


def test_the_supervisor_loads_without_django() -> None:
    program = "import sys, workers.supervisor, workers.supervisor.pulse; print('django' in sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert loaded.stdout.strip() == "False", loaded.stderr
