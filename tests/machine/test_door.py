"""Random histories of everything that can be said to the door, on the real database. None may break a promise."""

import time

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.machine.machine import USUALLY, favouring, make_tasks

STEPS = 60


@pytest.mark.django_db
@pytest.mark.timeout(0)  # as long as it was asked to look
def test_no_history_breaks_a_promise(histories: int, capsys: pytest.CaptureFixture[str]) -> None:
    make_tasks()
    began = time.monotonic()
    run_state_machine_as_test(
        favouring(USUALLY),
        settings=settings(max_examples=histories, stateful_step_count=STEPS, deadline=None, database=None,
                          suppress_health_check=list(HealthCheck)),
    )  # fmt: skip
    took = time.monotonic() - began
    with capsys.disabled():
        print(f"\n{histories} histories of up to {STEPS} steps in {took:.0f} s, no violation")
