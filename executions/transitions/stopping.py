"""cancel, terminate, pause, resume: what people ask of an execution under way.

Guarantee: a cancel always ends. `cancelled` is said only of what was seen to end; a record that is closed without that is
`terminated`. A pause is reached at the next acknowledgement of the author's code, and loses nothing that comes meanwhile.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F

from executions import families
from executions.models import Execution, Timer, read_clock
from executions.states import CLAIMABLE, FINAL, HELD, PARKED, Reason, State
from executions.transitions.ending import end, withdraw
from executions.transitions.moving import Refused, check_words, lock, move, note, refuse, resumed, verb

CANCEL_GRACE = timedelta(seconds=10)
AT_ONCE = 50  # children that whoever ends their parent stops himself; a thousand would keep him for seconds


@verb
def cancel(
    pk: UUID, *, now: datetime, actor: str, reason: str = "", reason_code: Reason = Reason.BY_PERSON
) -> Execution:
    """Stop an execution: at once where no worker holds it, else as soon as its sandbox is seen to have ended."""
    check_words(reason=reason)
    execution = lock(pk)
    rows = Execution.objects.filter(token=execution.token)
    if execution.state in FINAL or execution.state == State.CANCELLING:
        refuse(execution, "cancel")
    if execution.state in CLAIMABLE | PARKED:
        withdraw(pk, now=now)
        ended = end(rows, pk, State.CANCELLED, now=now, actor=actor, reason=reason, reason_code=reason_code,
                    token=F("token") + 1)  # fmt: skip
        transaction.on_commit(lambda: release_children(pk, now=now), robust=True)
        return ended or refuse(execution, "cancel")
    asked = move(rows, pk, State.CANCELLING, kind="cancel_requested", now=now, actor=actor, reason=reason,
                 reason_code=reason_code)  # fmt: skip
    if asked is None:
        refuse(execution, "cancel")
    patience = settings.LEASE + CANCEL_GRACE
    Timer.objects.create(execution=asked, kind=Timer.Kind.STOP, generation=asked.token, due_at=read_clock() + patience)
    return asked


@verb
def terminate(pk: UUID, *, now: datetime, actor: str, reason: str, reason_code: Reason = Reason.BY_PERSON) -> Execution:
    """Close the record now, whatever its worker does: that worker can write nothing more, and ends its sandbox when it
    notices. `reason` says why nobody could wait for a cancel; raises Refused without one."""
    check_words(reason=reason)
    execution = lock(pk)
    if execution.state in FINAL:
        refuse(execution, "terminate")
    if not reason.strip():
        raise Refused("Say why it must be terminated: the reason stays in its history.", code="reason_needed")
    withdraw(pk, now=now)
    ended = end(Execution.objects.filter(token=execution.token), pk, State.TERMINATED, now=now, actor=actor,
                reason=reason, reason_code=reason_code, token=F("token") + 1)  # fmt: skip
    transaction.on_commit(lambda: release_children(pk, now=now), robust=True)
    return ended or refuse(execution, "terminate")


@verb
def pause(pk: UUID, *, now: datetime, actor: str, reason: str = "") -> Execution:
    """Freeze an execution: at once where no worker holds it, else when its code next records something."""
    check_words(reason=reason)
    execution = lock(pk)
    rows = Execution.objects.filter(token=execution.token)
    if execution.state in HELD - {State.CANCELLING} and not execution.pausing:
        noted = note(rows, pk, kind="pause_requested", now=now, actor=actor, reason=reason, pausing=True)
        return noted or refuse(execution, "pause")
    if execution.state not in CLAIMABLE | {State.WAITING}:
        refuse(execution, "pause")
    paused = move(rows, pk, State.PAUSED, kind="paused", now=now, actor=actor, reason=reason,
                  reason_code=Reason(execution.reason_code), paused_from=execution.state,
                  waiting_for=execution.waiting_for)  # fmt: skip
    return paused or refuse(execution, "pause")


@verb
def resume(pk: UUID, *, now: datetime, actor: str) -> Execution:
    """Let a paused execution go on where it stood; one that was still to be paused is not."""
    execution = lock(pk)
    rows = Execution.objects.filter(token=execution.token)
    if execution.pausing:
        return note(rows, pk, kind="unpaused", now=now, actor=actor, pausing=False) or refuse(execution, "resume")
    if execution.state != State.PAUSED:
        refuse(execution, "resume")
    target = State(execution.paused_from)
    back = resumed(now, priority=execution.priority, at=execution.available_at) if target == State.RESUMING else {}
    goes_on = move(rows, pk, target, kind="unpaused", now=now, actor=actor, sources={State.PAUSED},
                   reason_code=Reason(execution.reason_code) if target != State.RESUMING else Reason.UNPAUSED,
                   waiting_for=execution.waiting_for, **back)  # fmt: skip
    return goes_on or refuse(execution, "resume")


def release_children(pk: UUID, *, now: datetime) -> None:
    """Cancel the children of an execution that has ended, or of a call that one of them failed: each on its own. What is
    left undone (more than AT_ONCE, a crash, a lost connection), the scheduler does."""
    for child in families.to_cancel().filter(parent=pk).values_list("pk", flat=True)[:AT_ONCE]:
        cancel_child(child, now=now)


def cancel_child(pk: UUID, *, now: datetime) -> None:
    """Cancel a child that nobody waits for; one that ended meanwhile is left as it ended."""
    execution = Execution.objects.only("state").get(pk=pk)
    if execution.state in FINAL or execution.state == State.CANCELLING:
        return
    with suppress(Refused):
        cancel(pk, now=now, actor="system", reason="nobody waits for it any more", reason_code=Reason.PARENT_ENDED)
