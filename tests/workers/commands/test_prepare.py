import stat
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from workers.management.commands.prepare import UNKNOWN, settle_password

pytestmark = pytest.mark.django_db


@pytest.fixture
def path(tmp_path: Path, settings: Settings) -> Path:
    settings.ADMIN_PASSWORD = ""
    return tmp_path / "admin-password"


def admin() -> User:
    return User.objects.get(username="admin")


def test_the_first_user_gets_a_password_that_only_the_owner_of_the_house_reads(path: Path) -> None:
    settle_password(path)
    assert len(path.read_text().strip()) >= 16
    assert admin().check_password(path.read_text().strip())
    assert admin().is_superuser
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_password_stays_at_the_next_start(path: Path) -> None:
    settle_password(path)
    first = path.read_text()
    settle_password(path)
    assert path.read_text() == first
    assert admin().check_password(first.strip())


def test_a_password_from_the_environment_is_taken_at_the_first_start_and_later(path: Path, settings: Settings) -> None:
    for chosen in ("first-choice", "second-choice"):
        settings.ADMIN_PASSWORD = chosen
        settle_password(path)
        assert path.read_text().strip() == chosen
        assert admin().check_password(chosen)


def test_a_user_that_this_house_did_not_make_keeps_the_password(path: Path) -> None:
    User.objects.create_superuser("admin", password="from another machine")
    settle_password(path)
    assert admin().check_password("from another machine")
    assert path.read_text().strip() == UNKNOWN
