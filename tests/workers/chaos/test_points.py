"""What a failpoint's row counts as a recovery."""

from typing import Any

from workers.chaos.points import recoveries


def attempt(number: int, worker: str, *, at: float, outcome: str) -> dict[str, Any]:
    return {"execution": "one", "number": number, "worker": worker, "claimed_at": at, "outcome": outcome}


def test_a_recovery_lasts_from_the_death_to_the_next_claim_of_what_was_held() -> None:
    attempts = [attempt(1, "victim", at=10.0, outcome="lost"), attempt(2, "other", at=16.5, outcome="completed")]
    assert recoveries(attempts, {"victim": 11.0}) == [5.5]


def test_what_the_victim_had_finished_needed_none() -> None:
    assert recoveries([attempt(1, "victim", at=10.0, outcome="completed")], {"victim": 11.0}) == []
