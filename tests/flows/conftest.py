"""Stories take their time: a house starts in them, and machines are busy."""

from pathlib import Path

import pytest

A_STORY = 180  # seconds


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(A_STORY))
