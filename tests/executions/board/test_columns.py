"""What a drop means, as data."""

import itertools

import pytest

from executions.board.columns import COLUMNS, LIBRARY, MOVES, TITLES, column_of_state, for_script, refusal
from executions.board.moving import VERBS
from executions.states import PHASES, State

PAIRS = list(itertools.product(TITLES, TITLES))


@pytest.mark.parametrize("state", State)
def test_every_state_stands_in_one_column_but_the_cancelled(state: State) -> None:
    column = column_of_state(state)
    assert (column == "") == (state in PHASES["cancelled"])
    assert column in {"", *(known.name for known in COLUMNS)}


def test_what_is_parked_or_resumes_stands_in_running() -> None:
    assert {column_of_state(state) for state in (State.WAITING, State.PAUSED, State.RESUMING)} == {"running"}


def test_every_move_has_a_verb() -> None:
    assert {move.verb for move in MOVES.values()} == set(VERBS)


@pytest.mark.parametrize(("source", "target"), [pair for pair in PAIRS if pair not in MOVES])
def test_every_other_move_is_refused_in_words(source: str, target: str) -> None:
    assert refusal(source, target).endswith(".")


def test_a_refusal_says_what_is_allowed() -> None:
    assert "It can go to: Pending (Run)" in refusal("planning", "completed")
    assert "It can go to: Planning (Cancel)" in refusal("running", "completed")
    assert "It can go to" not in refusal("completed", "running")


def test_the_script_is_told_of_every_pair() -> None:
    told = for_script()
    assert set(told["moves"]) | set(told["refusals"]) == {f"{source}>{target}" for source, target in PAIRS}
    assert told["moves"][f"{LIBRARY}>pending"]["verb"] == "submit"
    assert told["moves"]["running>planning"]["confirm"]


@pytest.mark.parametrize("source", ["completed", "failed"])
def test_a_card_that_has_ended_says_how_to_run_it_again(source: str) -> None:
    for target in TITLES:
        assert refusal(source, target).endswith("Run it again from its page or from the library.")
    assert refusal(source, "pending").startswith("It has ended.")
