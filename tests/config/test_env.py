import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from config import env
from tests.services import ROOT


def read(name: str, **environment: str) -> str:
    """What config.env makes of an environment."""
    command = [sys.executable, "-c", f"from config import env; print(env.{name})"]
    clean = {"PATH": os.environ["PATH"]}
    return subprocess.run(
        command, cwd=ROOT, env={**clean, **environment}, capture_output=True, text=True
    ).stdout.strip()


def test_the_house_listens_on_this_machine_alone_unless_it_is_told_otherwise() -> None:
    assert read("HOST") == "127.0.0.1"


def test_the_home_is_beside_the_code_unless_it_is_named() -> None:
    assert (read("HOME"), read("HOME", RUNBOARD_HOME="/srv/board")) == (str(ROOT / ".runboard"), "/srv/board")


def test_redis_is_ours_unless_another_is_named() -> None:
    named = read("house().redis_socket", REDIS_URL="redis://elsewhere/0")
    assert (named, read("house().redis_socket", RUNBOARD_HOME="/srv/b")) == ("None", "/srv/b/run/redis.sock")


def test_a_home_too_deep_for_a_socket_keeps_it_in_a_short_folder_of_its_own() -> None:
    deep = "/srv/" + "deep/" * 30
    path = Path(read("REDIS_SOCKET", RUNBOARD_HOME=deep))
    assert len(os.fsencode(path)) <= env.SOCKET_PATH_LIMIT
    assert path != Path(read("REDIS_SOCKET", RUNBOARD_HOME=deep + "er"))


def test_only_names_of_this_machine_are_answered_unless_others_are_allowed() -> None:
    assert "board.example" not in read("ALLOWED_HOSTS")
    assert read("ALLOWED_HOSTS", ALLOWED_HOSTS="board.example,b.example") == "['board.example', 'b.example']"


def test_a_secret_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "home" / "secret-key"
    first = env.kept_secret(path, "first")
    assert (first, env.kept_secret(path, "second")) == ("first", "first")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_two_processes_that_make_a_secret_at_once_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret-key"
    monkeypatch.setattr(Path, "exists", lambda self: False)
    assert (env.kept_secret(path, "first"), env.kept_secret(path, "second")) == ("first", "first")


def test_the_keys_of_histories_are_made_once_outside_the_database(tmp_path: Path) -> None:
    first = read("secret_keys()", RUNBOARD_HOME=str(tmp_path))
    assert first == read("secret_keys()", RUNBOARD_HOME=str(tmp_path))
    assert stat.S_IMODE((tmp_path / "secret-keys").stat().st_mode) == 0o600


def test_keys_of_histories_may_be_several_and_none_may_be_short(tmp_path: Path) -> None:
    new, old = "n" * 32, "o" * 32
    assert read("secret_keys()", RUNBOARD_SECRET_KEYS=f"{new}, {old}") == f"('{new}', '{old}')"
    assert read("secret_keys()", RUNBOARD_SECRET_KEYS=f"{new},short") == ""


def test_retention_below_zero_removes_nothing() -> None:
    assert read("RETENTION", RUNBOARD_RETENTION_DAYS="-1") == "0:00:00"
