"""How long the machine looks: `pytest tests/machine --histories 5000` is the figure of the measures."""

import pytest

FEW = 25


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--histories", type=int, default=FEW, help="random histories of the door, of up to 60 steps each")
    parser.addoption("--mutants", choices=("few", "all"), default="few",
                     help="on PostgreSQL: the broken doors that the machine must notice, a few or all of them")  # fmt: skip


@pytest.fixture
def histories(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--histories", FEW) or FEW)


@pytest.fixture
def all_mutants(request: pytest.FixtureRequest) -> bool:
    return str(request.config.getoption("--mutants", "few")) == "all"
