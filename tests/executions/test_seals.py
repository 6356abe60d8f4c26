"""Seals: made by the newest key, verified by all, and of no use to who has only the database."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from executions import seals

OLD, NEW = "an old key of more than thirty-two letters", "a new key of more than thirty-two letters"


def test_a_seal_holds_for_what_it_seals_and_for_nothing_else() -> None:
    sealed = seals.seal("event", 1, "ü", None)
    assert seals.holds(sealed, "event", 1, "ü", None)
    assert not seals.holds(sealed, "event", "1", "ü", None)
    assert not seals.holds(sealed, "event", 1, "ü")
    assert not seals.holds(sealed[:-1] + ("A" if sealed[-1] != "A" else "B"), "event", 1, "ü", None)


def test_what_stands_between_two_values_belongs_to_one_of_them() -> None:
    assert not seals.holds(seals.seal("ab", "c"), "a", "bc")


@pytest.mark.parametrize("forged", ["", "no dot", "\ud800"])
def test_what_is_no_seal_holds_for_nothing(forged: str) -> None:
    assert not seals.holds(forged, "event")


def test_the_id_of_a_key_alone_is_no_seal() -> None:
    assert not seals.holds(seals.seal("event")[:8], "event")


def test_an_old_key_verifies_and_no_longer_seals(settings: Settings) -> None:
    settings.SECRET_KEYS = (OLD,)
    before = seals.seal("x")
    settings.SECRET_KEYS = (NEW, OLD)
    assert seals.holds(before, "x")
    assert seals.seal("x").partition(".")[0] == seals.keys()[0].id
    settings.SECRET_KEYS = (NEW,)
    with pytest.raises(seals.UnknownKey, match="is not among RUNBOARD_SECRET_KEYS"):
        seals.holds(before, "x")
