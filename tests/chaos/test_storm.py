"""A short storm: everything is hurt, and what was accepted ends once, with what it had recorded."""

from workers.chaos.storm import storm

SEED = 4
SECONDS = 20


def test_what_was_accepted_survives_a_storm(database: str) -> None:
    found = storm(database, seed=SEED, seconds=SECONDS)
    assert found.broke == []
    assert found.n > 0
    assert found.faults > 0
