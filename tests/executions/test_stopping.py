"""cancel: what becomes of many children."""

from __future__ import annotations

import pytest
from django.utils import timezone

from executions import queries, transitions
from executions.models import Execution
from tests.executions.lives import with_children

pytestmark = pytest.mark.django_db(transaction=True)


def test_who_ends_a_parent_stops_some_children_and_the_scheduler_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("executions.transitions.stopping.AT_ONCE", 2)
    parent, children = with_children(5)
    transitions.cancel(parent.pk, now=timezone.now(), actor="user:mira")
    assert Execution.objects.filter(parent=parent, state="cancelled").count() == 2
    left = queries.to_cancel()
    assert len(left) == len(children) - 2
    for child in left:
        transitions.cancel_child(child, now=timezone.now())
    assert Execution.objects.filter(parent=parent, state="cancelled").count() == len(children)
