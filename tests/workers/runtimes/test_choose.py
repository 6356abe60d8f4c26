"""The choice of method is pure, says why, and never falls down to less isolation."""

import pytest

from tasks.policy import Level, Security
from workers.runtimes import Order, choose


@pytest.mark.parametrize(
    ("kind", "level", "method", "why"),
    [
        ("script", Level.LOW, "container", "an author's script"),
        ("script", Level.MEDIUM, "container", "an author's script"),
        ("script", Level.HIGH, "container", "HIGH"),
        ("action", Level.LOW, "in_process", "a registered action at security level LOW"),
        ("action", Level.MEDIUM, "container", "an action at security level MEDIUM"),
        ("action", Level.HIGH, "container", "HIGH"),
    ],
)
def test_only_a_trusted_action_leaves_the_sandbox(kind: str, level: Level, method: str, why: str) -> None:
    choice = choose(Order(execution="e", attempt=1, task="t", kind=kind, security=Security(level=level)))
    assert choice.method == method
    assert why in choice.why
