"""Histories: what is changed behind the house's back is found, and what the house does is never called wrong."""

from __future__ import annotations

import pytest
from django.utils import timezone

from executions import transitions
from executions.history.verifying import Verification
from executions.models import Event, Execution
from executions.states import State
from tests.make import make_execution

pytestmark = pytest.mark.django_db


def wrong() -> list[str]:
    look = Verification()
    return [str(found) for found in (*look.findings(), *look.unknown_keys())]


@pytest.mark.parametrize("state", sorted(set(State) - {State.PAUSED}))
def test_what_the_verbs_write_verifies(state: State) -> None:
    make_execution(state=state)
    assert wrong() == []
