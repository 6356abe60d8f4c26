"""Fixtures that stand for real things, and the marks that say which tests need which."""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path

import hypothesis
import pytest
import redis as redis_client
from django.conf import settings
from django.contrib.auth.models import User
from django.db.backends.base.operations import BaseDatabaseOperations

from tasks import append_only
from tests import services
from tests.api import api
from tests.browser import browser, complaints, new_page, page, sessions, windows

__all__ = ["api", "browser", "complaints", "new_page", "page", "sessions", "windows"]

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("house", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("house")

DATABASE_FIXTURES = {"db", "transactional_db", "live_server", "house", "new_house"}
HOUSE_FIXTURES = {"house", "new_house"}
BROWSER_FIXTURES = {"browser", "windows", "new_page", "page"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        uses = set(getattr(item, "fixturenames", ()))
        if uses & DATABASE_FIXTURES or item.get_closest_marker("django_db"):
            item.add_marker("database")
        if uses & HOUSE_FIXTURES:
            item.add_marker("house")
        if uses & BROWSER_FIXTURES:
            item.add_marker("browser")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A story that failed is told together with what its houses had to say."""
    report = yield
    if report.failed:
        report.sections += [(f"log of {house.home}", house.log[-5000:]) for house in standing]
    return report


# The database


@pytest.fixture(autouse=True, scope="session")
def _lift_for_flush() -> Iterator[None]:
    """Emptying a test database is the one thing, beside retention, that history lets through."""
    plain = BaseDatabaseOperations.execute_sql_flush

    def lifted(self: BaseDatabaseOperations, sql_list: Sequence[str]) -> None:
        with append_only.lifted(self.connection.alias):
            plain(self, sql_list)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseDatabaseOperations, "execute_sql_flush", lifted)
        yield


# People


@pytest.fixture
def mira(db: None) -> User:
    """An operator."""
    return User.objects.create_user("mira", password="a password of mira")


@pytest.fixture
def boss(db: None) -> User:
    """An admin."""
    return User.objects.create_superuser("boss", password="a password of boss")


# Redis


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A real Redis where the settings look for it, for all tests of this process."""
    path = Path(settings.REDIS_URL.removeprefix("unix://"))
    with services.redis_server(path):
        yield settings.REDIS_URL


@pytest.fixture
def redis(redis_url: str) -> Iterator["redis_client.Redis"]:
    """A client of it, which starts empty."""
    with redis_client.Redis.from_url(redis_url) as client:
        client.flushall()
        yield client


# A whole house

standing: list[services.House] = []


@pytest.fixture
def new_house() -> Iterator[Callable[..., services.House]]:
    """Starts houses, each in a home of its own: `new_house(RUNBOARD_LEASE_SECONDS="2")`, and again with `home=`."""
    with contextlib.ExitStack() as stack:

        def start(*, home: Path | None = None, wait: bool = True, **environment: str) -> services.House:
            place = home or Path(stack.enter_context(house_folder())) / "home"
            house = stack.enter_context(stands(place, **environment))
            if wait:
                house.wait_ready()
            return house

        yield start


@pytest.fixture(scope="session")
def house() -> Iterator[services.House]:
    """One for all stories of this process; they may hurt it, for it heals itself, but not stop it."""
    with house_folder() as folder, stands(Path(folder) / "home") as house:
        house.wait_ready()
        yield house


@contextlib.contextmanager
def stands(home: Path, **environment: str) -> Iterator[services.House]:
    house = services.start_house(home, **environment)
    standing.append(house)
    try:
        yield house
    finally:
        standing.remove(house)
        house.stop()


@contextlib.contextmanager
def house_folder() -> Iterator[str]:
    folder = tempfile.mkdtemp(prefix="runboard-house-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
