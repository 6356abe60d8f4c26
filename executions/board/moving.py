"""What a drop does: the verb that a card's move stands for, called for the person who dropped it.

Guarantee: where a card is, is read from the database, never believed. A gesture's key makes one execution however often the
gesture arrives, and a plan is launched once whoever drops it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from executions import queries, transitions, waiting
from executions.board import fragments
from executions.board.columns import LIBRARY, MOVES, refusal
from executions.board.forms import CardId
from executions.models import Execution
from executions.transitions import Refused
from tasks import planning
from tasks.access import Principal
from tasks.models import Plan, Task

SCOPES = {"cancel": "cancel"}  # what a verb needs; the others need `submit`
GONE = "There is no such card any more. Reload the board to see what there is."


class NoSuchCard(Exception):
    """The card that was dropped is nobody's."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A drop, with what stands behind the card. `key` is the gesture's; `before` the plan it was dropped in front of."""

    card: CardId
    thing: Plan | Task | Execution
    source: str
    to: str
    before: Plan | None
    key: str
    by: Principal

    @property
    def task(self) -> Task:
        return self.thing if isinstance(self.thing, Task) else self.thing.task

    @property
    def plan(self) -> Plan | None:
        return self.thing if isinstance(self.thing, Plan) else None


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of it: the card as it is now (empty where it left the board), and that in a sentence."""

    html: str
    told: str


def dropped(card: CardId, *, to: str, before: CardId | None, key: str, by: Principal) -> Dropped:
    """A drop with its card looked up; raises NoSuchCard."""
    thing, source = FIND[card.kind](card)
    ahead = Plan.objects.standing().filter(pk=before.number).first() if before and before.kind == "plan" else None
    return Dropped(card, thing, source, to, ahead, key, by)


def scope(drop: Dropped) -> str:
    """What one must be allowed for this drop."""
    move = MOVES.get((drop.source, drop.to))
    return SCOPES.get(move.verb, "submit") if move else "submit"


def move(drop: Dropped, *, now: datetime) -> Moved:
    """Do it. Raises Refused with the reason and what is allowed, or Invalid where an input is missing or wrong."""
    known = MOVES.get((drop.source, drop.to))
    if known is None:
        raise Refused(_why_not(drop))
    try:
        return VERBS[known.verb](drop, now)
    except planning.NotPlanned as late:
        raise Refused(str(late), code="not_planned") from late


def _submit(drop: Dropped, now: datetime) -> Moved:
    draft = drop.plan.input if drop.plan else None
    submission = transitions.submit(
        drop.task,
        input={} if draft is None else draft,
        now=now,
        actor=drop.by.actor,
        owner=drop.by.user,
        plan=drop.plan,
        idempotency_key=f"{drop.key}:{drop.card}" if drop.key else None,
    )
    return _card(submission.execution, "{} is in Pending: {}.")


def _plan(drop: Dropped, now: datetime) -> Moved:
    made = planning.plan(drop.task, now=now, by=drop.by.user, before=drop.before)
    return Moved(fragments.plan(made), f"{made.name} is planned.")


def _place(drop: Dropped, now: datetime) -> Moved:
    placed = planning.place(drop.card.number, before=drop.before, now=now)
    return Moved(fragments.plan(placed), f"{placed.name} has its new place.")


def _remove(drop: Dropped, now: datetime) -> Moved:
    removed = planning.remove(drop.card.number, now=now)
    return Moved("", f"{removed.name} is off the board; its task is in the library.")


def _cancel(drop: Dropped, now: datetime) -> Moved:
    asked = transitions.cancel(drop.card.uuid, now=now, actor=drop.by.actor)
    return _card(asked, "{} is cancelled." if asked.is_final else "{} is being stopped: {}.")


def _card(execution: Execution, told: str) -> Moved:
    """The execution as the board reads it."""
    found = queries.cards([execution.pk])[0]
    why = waiting.reasons([found]).get(found.pk)
    html = fragments.card(found, why) if fragments.column_of(found) else ""
    return Moved(html, told.format(found, found.title))


def _why_not(drop: Dropped) -> str:
    if drop.source:
        return refusal(drop.source, drop.to)
    return f"{drop.thing} has left the board: it was cancelled, or run again. Run its task from the library."


def _find_plan(card: CardId) -> tuple[Plan, str]:
    """A plan that was launched before still counts as planned for a launch, which answers with the first one's card."""
    found = Plan.objects.select_related("task", "task__latest").filter(pk=card.number).first()
    if found is None:
        raise NoSuchCard(GONE)
    return found, "planning"


def _find_task(card: CardId) -> tuple[Task, str]:
    found = Task.objects.in_library().filter(slug=card.key).first()
    if found is None:
        raise NoSuchCard(GONE)
    return found, LIBRARY


def _find_execution(card: CardId) -> tuple[Execution, str]:
    found = queries.cards([card.uuid])
    if not found:
        raise NoSuchCard(GONE)
    return found[0], fragments.column_of(found[0])


FIND: dict[str, Callable[[CardId], tuple[Plan | Task | Execution, str]]] = {
    "plan": _find_plan,
    "library": _find_task,
    "execution": _find_execution,
}
VERBS: dict[str, Callable[[Dropped, datetime], Moved]] = {
    "submit": _submit,
    "plan": _plan,
    "place": _place,
    "remove": _remove,
    "cancel": _cancel,
}
