"""The short cut of `make chaos`: one seed and a handful of failpoints, on the database that the tests run on."""

from pathlib import Path

import pytest
from django.db import connection

A_CUT = 180  # seconds


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(A_CUT))
            if "database" in getattr(item, "fixturenames", ()):
                item.add_marker("database")
                item.add_marker("house")


@pytest.fixture
def database() -> str:
    """The one that these tests run on; houses made to be broken bring their own."""
    return connection.vendor
