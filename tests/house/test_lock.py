"""pyproject.toml says what is wanted, uv.lock what that came to, requirements/*.txt what is installed: they agree.

`python -m tests.house.test_lock` writes the requirements from the lock.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import bootstrap
from tests.services import ROOT

GROUPS = ("run", "dev")


def exported(group: str) -> str:
    """What the lock says is installed; fails where the lock does not answer pyproject.toml. Asks no index."""
    options = ["--locked", "--offline", "--quiet", "--no-emit-project", "--no-annotate", "--no-header"]
    command = [f"{sys.prefix}/bin/uv", "export", *options, "--no-default-groups", "--group", group]
    run = subprocess.run(command, cwd=ROOT, env={**os.environ, "UV_NO_CONFIG": "1"}, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout


def path(group: str) -> Path:
    return ROOT / "requirements" / f"{group}.txt"


@pytest.mark.parametrize("group", GROUPS)
def test_what_is_installed_is_what_is_locked(group: str) -> None:
    assert path(group).read_text() == exported(group), "run `make lock`, or `uv lock` and what it calls then"


@pytest.mark.parametrize("group", GROUPS)
def test_every_package_is_pinned_and_hashed(group: str) -> None:
    packages = re.findall(r"^\S.*?(?=^\S|\Z)", path(group).read_text(), re.MULTILINE | re.DOTALL)
    assert packages
    assert [package for package in packages if "==" not in package or "--hash=sha256:" not in package] == []


def test_the_bootstrap_and_the_lock_name_the_same_uv() -> None:
    assert re.search(rf"^{re.escape(bootstrap.UV)}[ ;\\]", path("dev").read_text(), re.MULTILINE)


if __name__ == "__main__":
    for name in GROUPS:
        path(name).write_text(exported(name))
