"""Histories: what the house does is never called wrong, and what is changed behind its back is found."""

from __future__ import annotations

import pytest

from executions.history.verifying import Verification
from tests.executions import histories

pytestmark = pytest.mark.django_db


def wrong() -> list[str]:
    look = Verification()
    return [str(found) for found in (*look.findings(), *look.unknown_keys())]


def test_what_the_verbs_write_verifies() -> None:
    rows = histories.varied()
    assert len(rows) >= 40
    assert wrong() == []
