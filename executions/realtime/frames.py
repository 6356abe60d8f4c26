"""What goes to a page: cards as they are now, what left the board, the counts, and why what stands still does.

Every function here reads the database and returns plain values; each runs in a thread of the small pool below. A frame
holds nothing of a user, so one text serves every socket. It has any of these members:

    cards      [{id, version, column, html}]      plans  [{id, version, position, html}]      gone  [{id, version}]
    counts     {planning, pending, running, completed, failed}, to MOST_COUNTED + 1           questions  how many are open
    why        {execution: {version, code, sentence, act, due}}, for the card with that version alone
    execution  {id, version, state, last_line}, on its own page alone
    cursor     hand it back as ?since=            reset  fetch the page again                 degraded  a sentence, or ""

`id` is an element's; `version` grows with every change, so what is not newer is ignored.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

from channels.db import database_sync_to_async

from executions import queries, waiting
from executions.board import fragments
from executions.models import Execution
from executions.realtime.news import News
from executions.states import CLAIMABLE
from executions.waiting import Why
from tasks.models import Plan, Queue

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")
Frame = dict[str, Any]

OVERLAP = timedelta(seconds=30)  # a transaction may commit this long after the moment it wrote as `changed_at`
TOO_OLD = timedelta(minutes=10)
MOST_REPLAYED = 500  # cards; a page with more to catch up on is quicker fetched again
MOST_HEALED = 20_000
MOST_EXPLAINED = 50  # of the first in each queue: about what a column shows
THREADS = ThreadPoolExecutor(max_workers=4, thread_name_prefix="realtime")


def in_thread(ask: Callable[P, T]) -> Callable[P, Awaitable[T]]:
    """The same question from an event loop, in a pool of its own: never in the one thread that Django's views share."""
    asked: Callable[P, Awaitable[T]] = database_sync_to_async(ask, thread_sensitive=False, executor=THREADS)
    return asked


def pack(frame: Frame) -> str:
    """A frame as it is sent."""
    return json.dumps(frame, ensure_ascii=False, separators=(",", ":"))


def cursor(moment: datetime) -> str:
    """A moment as pages hand it back; texts compare as their moments do."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment(cursor: str) -> datetime | None:
    """What a page's cursor says; None where it is none."""
    try:
        said = datetime.fromisoformat(cursor.replace(" ", "+"))
    except ValueError:
        return None
    return said if said.tzinfo else None


# The board


def drawn(news: Iterable[News]) -> Frame:
    """The cards these are about, as they are now, with the counts: one query and one render a card."""
    ids: dict[str, list[str]] = {"execution": [], "plan": []}
    for told in news:
        ids[told.about].append(told.id)
    cards, gone = _cards([UUID(pk) for pk in ids["execution"]])
    plans, launched = _plans([int(pk) for pk in ids["plan"]])
    return {"cards": cards, "plans": plans, "gone": gone + launched, **_totals()}


def replay(since: str) -> Frame:
    """What a page missed since its cursor, or `reset` where it is quicker fetched again."""
    now, before = queries.present(), moment(since)
    if before is None or now - before > TOO_OLD or before - now > TOO_OLD:
        return {"reset": True, "cursor": cursor(now)}
    missed = _changed(before - OVERLAP, most=MOST_REPLAYED + 1)
    if len(missed) > MOST_REPLAYED:
        return {"reset": True, "cursor": cursor(now)}
    return {**drawn(missed), "cursor": cursor(now)}


def present() -> Frame:
    """Where a page without a cursor begins: the counts, and a cursor for later."""
    return {"cursor": cursor(queries.present()), **_totals()}


# One execution's page


def seen(execution_id: UUID) -> Frame | None:
    """What an execution's page compares itself with; None where there is no such execution."""
    now = queries.present()
    row = _watched([execution_id])
    return {**watched(row[0]), "cursor": cursor(now)} if row else None


def watched(news: News) -> Frame:
    told = {"id": news.id, "version": news.revision, "last_line": news.last_line, "state": news.state}
    return {"execution": told}


# The hub's healing read


@dataclass(frozen=True, slots=True)
class Healed:
    """The database's word, read after the moment `at`: what changed, and by execution why what stands still does."""

    at: datetime
    news: list[News]
    reasons: dict[str, tuple[int, Why]]


def healed(since: datetime | None, *, watching: Collection[UUID]) -> Healed:
    """What changed after `since` (or just now), less the overlap, and how the executions that are looked at stand."""
    at = queries.present()
    news = _changed((since or at) - OVERLAP, most=MOST_HEALED)
    return Healed(at, news + _watched(watching), _reasons())


def explained(why: Why, version: int) -> Frame:
    """A reason as a page shows it, for the card with this version alone."""
    return {"version": version, "code": why.code, "sentence": why.sentence, "act": why.act, "due": why.due}


def _changed(since: datetime, *, most: int) -> list[News]:
    """The newest come first, for where there are more than `most`, earlier reads have told the older."""
    rows = Execution.objects.filter(changed_at__gt=since).order_by("-changed_at").values_list("pk", "revision")
    plans = Plan.objects.filter(changed_at__gt=since).order_by("-changed_at").values_list("pk", "version")
    news = [News(about="execution", id=str(pk), revision=revision) for pk, revision in rows[:most]]
    return news + [News(about="plan", id=str(pk), revision=version) for pk, version in plans[:most]]


def _watched(ids: Collection[UUID]) -> list[News]:
    if not ids:
        return []
    rows = Execution.objects.filter(pk__in=ids).values_list("pk", "revision", "state", "last_line")
    return [
        News("execution", str(pk), revision, state=state, last_line=line, shows=False)
        for pk, revision, state, line in rows
    ]


def _reasons() -> dict[str, tuple[int, Why]]:
    """Why those at the head of each queue do not start, by execution, with the revision it is true of."""
    heads = [
        execution
        for queue in Queue.objects.values_list("name", flat=True)
        for execution in Execution.objects.lean()
        .filter(queue=queue, state__in=CLAIMABLE)
        .order_by("rank", "id")[:MOST_EXPLAINED]
    ]
    revisions = {execution.pk: execution.revision for execution in heads}
    return {str(pk): (revisions[pk], why) for pk, why in waiting.reasons(heads).items()}


def _cards(ids: Collection[UUID]) -> tuple[list[Frame], list[Frame]]:
    rows = queries.cards(ids) if ids else []
    whys = waiting.reasons(rows)
    shown = [card for row in rows if (card := _card(row, whys.get(row.pk)))]
    left = [_gone(f"execution-{row.pk}", row.revision) for row in rows if not fragments.column_of(row)]
    pruned = [_gone(f"execution-{pk}", None) for pk in set(ids) - {row.pk for row in rows}]
    return shown, left + pruned


def _card(execution: Execution, why: Why | None) -> Frame | None:
    """None where it stands in no column, or cannot be drawn: one such card must not hold back all others."""
    try:
        html = fragments.card(execution, why)
    except Exception:
        logger.exception("the card of %s cannot be drawn", execution)
        return None
    column = fragments.column_of(execution)
    card = {"id": f"execution-{execution.pk}", "version": execution.revision, "column": column, "html": html}
    return card if column else None


def _plans(ids: Collection[int]) -> tuple[list[Frame], list[Frame]]:
    rows = Plan.objects.filter(pk__in=ids).select_related("task", "task__latest", "planned_by") if ids else []
    standing = [_plan(row) for row in rows if row.state == Plan.State.PLANNED]
    left = [_gone(f"plan-{row.pk}", row.version) for row in rows if row.state != Plan.State.PLANNED]
    return standing, left


def _plan(plan: Plan) -> Frame:
    return {
        "id": f"plan-{plan.pk}", "version": plan.version, "position": plan.position, "html": fragments.plan(plan),
    }  # fmt: skip


def _gone(element: str, version: int | None) -> Frame:
    return {"id": element, "version": version}


def _totals() -> Frame:
    counts = {phase: queries.count_in(phase) for phase in ("pending", "running", "completed", "failed")}
    planning = Plan.objects.filter(state=Plan.State.PLANNED)[: queries.MOST_COUNTED + 1].count()
    return {"counts": {"planning": planning, **counts}, "questions": queries.open_question_count()}
