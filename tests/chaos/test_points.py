"""kill -9 where a record and its effect could come apart: whoever lives goes on."""

from workers.chaos.points import failpoints

A_HANDFUL = (
    "after_submit_commit",
    "after_claim_commit",
    "before_step_commit",
    "after_step_commit",
    "before_complete_commit",
)


def test_a_process_may_die_at_any_of_its_places(database: str) -> None:
    found = {row.measure: row.broke for row in failpoints(database, repeats=1, only=A_HANDFUL)}
    # How soon it goes on is a measure of `make chaos`: no test fails on a second.
    told = {name: [one for one in broke if not one.startswith("P6")] for name, broke in found.items()}
    assert told == {f"F3 {place}": [] for place in A_HANDFUL}
