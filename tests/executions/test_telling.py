"""step: how long a history may be."""

from __future__ import annotations

from contextlib import suppress

import pytest
from django.utils import timezone

from executions import transitions
from executions.transitions import Refused
from tests.executions.lives import running, step

pytestmark = pytest.mark.django_db


def test_what_people_are_refused_does_not_use_up_the_history_of_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("executions.transitions.telling.MOST_EVENTS", 10)
    execution, claim = running()
    for _ in range(20):
        with suppress(Refused):
            transitions.resume(execution.pk, now=timezone.now(), actor="user:mira")
    for number in range(7):
        step(claim, f"step-{number}")
    with pytest.raises(Refused, match="at most 10 events"):
        step(claim, "one-too-many")
