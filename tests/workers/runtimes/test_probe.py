"""The probe tries for real, says what is wrong in one sentence with its mend, and the doctor prints it."""

import stat
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from workers.runtimes import EnvironmentUnavailable, Order, Runtimes, probe
from workers.runtimes.probe import Probe


@pytest.fixture
def again() -> object:
    """Leaves a fresh answer behind for the tests that follow."""
    yield
    probe(fresh=True)


def test_this_machine_can_sandbox() -> None:
    found = probe(fresh=True)
    assert found.ok, found.problem
    assert found.problem == ""
    assert found.memory == "rlimit+poll"
    assert len(found.findings) == 10
    assert all(finding.ok for finding in found.findings)


def test_the_answer_is_kept() -> None:
    assert probe() is probe()


def test_the_doctor_prints_what_holds() -> None:
    out = StringIO()
    call_command("sandbox_doctor", stdout=out)
    lines = out.getvalue().splitlines()
    assert lines[0].startswith("✓ bwrap 0.")
    assert "✓ the house's loopback is out of reach" in lines
    assert not [line for line in lines if line.startswith("✗")]


def test_a_missing_driver_is_one_sentence_with_its_mend(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, again: None
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    sentence = "bubblewrap is not installed, so nothing can be sandboxed here: apt install bubblewrap"
    assert probe(fresh=True).problem == sentence
    out = StringIO()
    with pytest.raises(CommandError, match=sentence) as refusal:
        call_command("sandbox_doctor", stdout=out)
    assert refusal.value.returncode == 1
    assert out.getvalue() == "✗ bwrap is not installed\n"
    with pytest.raises(EnvironmentUnavailable, match=sentence):
        Runtimes(owner="test").prepare(Order(execution="e", attempt=1, task="t", source="print(1)"))


@pytest.mark.parametrize(
    ("words", "mend"),
    [
        ("bwrap: No permissions to create new namespace", "kernel.unprivileged_userns_clone=1"),
        ("bwrap: setting up uid map: Permission denied", "AppArmor"),
        ("bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted", "AppArmor"),
        ("bwrap: Creating new namespace failed: No space left on device", "user.max_user_namespaces"),
        ("bwrap: Can't mount proc on /newroot/proc: Operation not permitted", "systempaths=unconfined"),
        ("bwrap: Unknown option --disable-userns", "bubblewrap ≥ 0.8"),
        ("bwrap: something new", "docs/operations.md"),
    ],
)
def test_a_driver_that_cannot_is_quoted_with_the_mend(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, again: None, words: str, mend: str
) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && {{ echo bubblewrap 0.6; exit; }}\necho "{words}" >&2\nexit 1\n'
    )
    broken.chmod(broken.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.owner() != "root" or folder == Path("/"):
            break
        folder.chmod(folder.stat().st_mode | 0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found: Probe = probe(fresh=True)
    assert not found.ok
    assert found.version == "0.6"
    assert mend in found.problem
    assert words in found.problem
