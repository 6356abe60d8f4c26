"""What the end of a child means to its parent.

Guarantee: a child's end and its parent's going on are one transaction. Rows are locked parent before child.
"""

from __future__ import annotations

from datetime import datetime

from executions import families
from executions.models import Execution, Wait
from executions.states import FINAL, LIVE, Reason, WaitingFor
from executions.transitions.moving import note, wake


def child_ended(child: Execution, *, now: datetime) -> None:
    """A child, just ended, whose parent's row is locked: the parent goes on once the last child of the call has ended."""
    assert child.parent_id is not None
    parent = Execution.objects.lean().get(pk=child.parent_id)
    told = {"child": str(child.pk), "number": child.number, "state": child.state, "key": child.parent_key}
    wait = Wait.objects.filter(execution=parent, finished_at=None, kind=WaitingFor.CHILDREN).first()
    if parent.state in FINAL or wait is None or not _is_of(child, wait):
        return
    family = families.of_call(wait)
    if family.filter(state__in=LIVE).exists():
        note(Execution.objects.all(), parent.pk, kind="child_ended", now=now, actor="system", data=told)
        return
    wait.value = [{"execution": str(pk)} for pk in family.order_by("parent_index").values_list("pk", flat=True)]
    wait.finished_at = now
    wait.save(update_fields=["value", "finished_at"])
    wake(parent, kind="child_ended", now=now, actor="system", reason_code=Reason.CHILDREN, data=told)


def _is_of(child: Execution, wait: Wait) -> bool:
    return (child.parent_key, child.parent_occurrence) == (wait.key, wait.occurrence)
