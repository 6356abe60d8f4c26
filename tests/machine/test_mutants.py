"""A machine that notices nothing proves nothing: each of these breaks the door in one place, and must be noticed."""

import zlib

import pytest
from django.db import DatabaseError, connection
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from executions.transitions import Refused
from tests.machine import mutants
from tests.machine.machine import USUALLY, favouring, make_tasks
from tests.machine.mutants import MUTANTS, Break
from tests.machine.record import Broken

MOST = 30  # histories; most need one to five
STEPS = 60
NOTICED = (Broken, Refused, DatabaseError)  # said by the record, by the door itself, or by a constraint
ON_POSTGRESQL = {mutants.no_token_check, mutants.a_claim_that_keeps_the_token, mutants.a_claim_of_what_is_not_due,
                 mutants.an_answer_without_a_look, mutants.a_batch_that_closes_no_attempt}  # fmt: skip


@pytest.mark.django_db
@pytest.mark.timeout(600)
@pytest.mark.parametrize("break_it", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_broken_door_is_noticed(break_it: Break, monkeypatch: pytest.MonkeyPatch, all_mutants: bool) -> None:
    if connection.vendor == "postgresql" and break_it not in ON_POSTGRESQL and not all_mutants:
        pytest.skip("noticed on SQLite; here with --mutants all")
    make_tasks()
    break_it(monkeypatch)
    machine = favouring({**USUALLY, **MUTANTS[break_it]})
    tried = 0

    class Counted(machine):  # type: ignore[valid-type,misc]
        def __init__(self) -> None:
            nonlocal tried
            tried += 1
            super().__init__()

    with pytest.raises(NOTICED) as noticed:
        run_state_machine_as_test(
            seed(zlib.crc32(break_it.__name__.encode()))(Counted),
            settings=settings(max_examples=MOST, stateful_step_count=STEPS, phases=[Phase.generate], deadline=None,
                              database=None, print_blob=False, suppress_health_check=list(HealthCheck)),
        )  # fmt: skip
    print(f"{break_it.__name__}: noticed in history {tried - 1}: {str(noticed.value).splitlines()[0][:150]}")
