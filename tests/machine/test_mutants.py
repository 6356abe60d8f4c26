"""A machine that notices nothing proves nothing: each of these breaks the door in one place, and must be noticed."""

import random

import pytest
from django.db import DatabaseError
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from executions.transitions import Refused
from tests.machine.machine import Door, make_tasks
from tests.machine.mutants import MUTANTS, Break
from tests.machine.record import Broken

MOST = 60  # histories; most need one to five
STEPS = 60
NOTICED = (Broken, Refused, DatabaseError)  # said by the record, by the door itself, or by a constraint


@pytest.mark.django_db
@pytest.mark.timeout(600)
@pytest.mark.parametrize("break_it", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_broken_door_is_noticed(break_it: Break, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tasks()
    break_it(monkeypatch)
    tried = 0

    class Counted(Door):
        def __init__(self) -> None:
            nonlocal tried
            tried += 1
            super().__init__()

    with pytest.raises(NOTICED) as noticed:
        run_state_machine_as_test(
            seed(random.randrange(2**32))(Counted),
            settings=settings(max_examples=MOST, stateful_step_count=STEPS, phases=[Phase.generate], deadline=None,
                              database=None, print_blob=False, suppress_health_check=list(HealthCheck)),
        )  # fmt: skip
    print(f"{break_it.__name__}: noticed in history {tried}: {str(noticed.value).splitlines()[0][:150]}")
