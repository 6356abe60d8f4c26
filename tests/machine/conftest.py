"""How long the machine looks: `pytest tests/machine --histories 5000` is the figure of the measures."""

import pytest

FEW = 25


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--histories", type=int, default=FEW, help="random histories of the door, of up to 60 steps each")


@pytest.fixture
def histories(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--histories", FEW) or FEW)
