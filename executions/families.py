"""Named questions about parents and children: who belongs to a call, how its children ended, who is not needed any more."""

from __future__ import annotations

import json
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from executions.models import Execution, Wait
from executions.states import FINAL, LIVE, State, WaitingFor

FAILURES = FINAL - {State.COMPLETED}


def of_call(wait: Wait) -> QuerySet[Execution]:
    """The children of the call that waits."""
    return Execution.objects.filter(parent=wait.execution_id, parent_key=wait.key, parent_occurrence=wait.occurrence)


def to_cancel() -> QuerySet[Execution]:
    """Living children that nobody waits for any more: their parent has ended, or a child beside them has failed."""
    beside = Execution.objects.filter(
        parent=OuterRef("execution"),
        parent_key=OuterRef("key"),
        parent_occurrence=OuterRef("occurrence"),
        state__in=FAILURES,
    )
    failing = Wait.objects.filter(
        Exists(beside),
        execution=OuterRef("parent"),
        key=OuterRef("parent_key"),
        occurrence=OuterRef("parent_occurrence"),
        fail_fast=True,
        finished_at=None,
    )
    orphaned = Q(parent__state__in=FINAL, outlives_parent=False)
    rows = Execution.objects.filter(orphaned | Exists(failing), parent__isnull=False, state__in=LIVE)
    return rows.exclude(state=State.CANCELLING)


def failed_calls(parent: Execution) -> list[int]:
    """The finished calls of children of which one did not complete."""
    calls = Wait.objects.filter(execution=parent, kind=WaitingFor.CHILDREN, finished_at__isnull=False)
    wanted = {call.pk: [entry["execution"] for entry in call.value or []] for call in calls}
    named = [pk for ids in wanted.values() for pk in ids]
    good = {
        str(pk) for pk in Execution.objects.filter(pk__in=named, state=State.COMPLETED).values_list("pk", flat=True)
    }
    return [pk for pk, ids in wanted.items() if not good.issuperset(ids)]


def results(wait: Wait) -> list[dict[str, Any]]:
    """How the children of a finished call ended, in their order: {execution, number, state, output, error}."""
    ids = [entry["execution"] for entry in wait.value or []]
    rows = {str(row.pk): row for row in Execution.objects.filter(pk__in=ids).only("number", "state", "output", "error")}
    return [_result(rows[pk]) for pk in ids]


def _result(child: Execution) -> dict[str, Any]:
    output = json.loads(child.output) if child.output is not None else None
    error = json.loads(child.error) if child.error is not None else None
    return {"execution": str(child.pk), "number": child.number, "state": child.state, "output": output, "error": error}
