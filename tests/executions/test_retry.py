"""Try again? When?"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executions.retry import CRASH_BUDGET, Again, Category, GiveUp, Spent, decide, delay
from tasks.policy import RetryPolicy

RETRYABLE = {"type": "Retryable", "message": "503", "retryable": True}


def follows(category: Category, error: dict[str, Any], **how: Any) -> Again | GiveUp:
    given: dict[str, Any] = {"policy": RetryPolicy(), "spent": Spent(), "chance": 0.5, **how}
    return decide(category, error, **given)


def test_the_delay_is_interval_times_multiplier_to_the_retries() -> None:
    policy = RetryPolicy(retry_interval=2, backoff_multiplier=2, jitter=0)
    assert [delay(policy, retries=n, chance=0).total_seconds() for n in range(4)] == [2, 4, 8, 16]


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_the_delay_is_capped_and_only_a_little_jittered(retries: int, chance: float) -> None:
    policy = RetryPolicy()
    seconds = delay(policy, retries=retries, chance=chance).total_seconds()
    assert 0 < seconds <= policy.max_interval * (1 + policy.jitter) + 1e-6


def test_it_stops_when_the_budget_is_spent_and_says_with_what() -> None:
    for retries in range(3):
        assert isinstance(follows(Category.ERROR, RETRYABLE, spent=Spent(retries=retries)), Again)
    over = follows(Category.ERROR, RETRYABLE, spent=Spent(retries=3))
    assert isinstance(over, GiveUp)
    assert over.error["type"] == "MaxRetriesExceeded"
    assert over.error["last_error"] == RETRYABLE


def test_a_type_that_the_policy_names_is_retryable() -> None:
    error = {"type": "OperationalError", "message": "", "retryable": False}
    assert isinstance(follows(Category.ERROR, error), GiveUp)
    policy = RetryPolicy(retryable_errors=("OperationalError",))
    assert isinstance(follows(Category.ERROR, error, policy=policy), Again)


@pytest.mark.parametrize("category", [Category.LOST, Category.RESOURCES])
def test_crashes_have_a_budget_of_their_own(category: Category) -> None:
    assert isinstance(follows(category, {}, spent=Spent(retries=99, losses=CRASH_BUDGET - 1)), Again)
    assert isinstance(follows(category, {}, spent=Spent(losses=CRASH_BUDGET)), GiveUp)


def test_a_sandbox_that_cannot_be_made_is_tried_again_ever_later() -> None:
    found = [follows(Category.ENVIRONMENT, {}, spent=Spent(environment_failures=n)) for n in range(4)]
    assert [again.delay.total_seconds() for again in found if isinstance(again, Again)] == [1, 2, 4]
    assert isinstance(found[3], GiveUp)


@pytest.mark.parametrize(("category", "state"), [(Category.TIMEOUT, "timed_out"), (Category.OUTPUT_INVALID, "failed")])
def test_some_ends_are_never_tried_again(category: Category, state: str) -> None:
    over = follows(category, {"retryable": True})
    assert isinstance(over, GiveUp)
    assert over.state == state


def test_who_lost_a_worker_once_goes_on_at_once_and_then_apart_from_its_companions() -> None:
    found = [follows(Category.LOST, {}, spent=Spent(crashes=crashes), chance=0.5) for crashes in range(4)]
    assert [again.delay.total_seconds() for again in found if isinstance(again, Again)] == [0, 1, 2, 2]
