"""Policies read from JSON."""

import pytest

from tasks.policy import Limits, RetryPolicy, Security, Timeouts, Unacceptable


def test_the_defaults_are_the_contract() -> None:
    assert RetryPolicy.read(None) == RetryPolicy(3, 2, 2, 300, 0.2, ())
    assert Limits.read({}) == Limits(0.1, None, 128 * 1024**2, 64 * 1024**2, 64, 300)
    assert Security.read(None).level == "MEDIUM"
    assert Timeouts.read({"queue": None}) == Timeouts()


@pytest.mark.parametrize(("text", "size"), [("128Mi", 134217728), ("1Gi", 1024**3), (64 * 1024**2, 64 * 1024**2)])
def test_sizes(text: str | int, size: int) -> None:
    assert Limits.read({"memory": text}).memory == size


@pytest.mark.parametrize("value", ["128MB", "-1Mi", "1", None, 3.5, True])
def test_what_is_no_size(value: object) -> None:
    with pytest.raises(Unacceptable, match="/limits/memory"):
        Limits.read({"memory": value})


def test_a_network_is_hosts_and_ports() -> None:
    assert Security.read({"network": ["example.org:443"]}).network == ("example.org:443",)
    assert Security.read({"network": "none"}).network == ()
    with pytest.raises(Unacceptable):
        Security.read({"network": ["http://example.org"]})
