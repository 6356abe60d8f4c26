"""The board, and the drops that move its cards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from executions import queries, waiting
from executions.board import columns, fragments, moving
from executions.board.columns import COLUMNS, Column
from executions.board.forms import MoveForm
from executions.board.people import asking
from executions.models import Execution
from executions.states import HELD
from executions.transitions import Refused
from executions.waiting import Why
from tasks.models import Plan, Task
from tasks.schema import Invalid

A_PAGE = 50  # cards of a column


@dataclass(frozen=True, slots=True)
class Shown:
    """A column as a page shows it: cards drawn, how many there are in all, and the address of the next ones."""

    column: Column
    cards: list[SafeString]
    count: int
    more: str = ""
    working: int = 0

    @property
    def told(self) -> str:
        return f"{queries.MOST_COUNTED}+" if self.count > queries.MOST_COUNTED else str(self.count)


@never_cache
@require_safe
@login_required
def board(request: HttpRequest) -> HttpResponse:
    """The five columns and the library. `?column=` and `after=` turn one column to the cards after one; the page's script
    asks for that column alone."""
    asking(request, scope="read")
    since = queries.present()
    turned = _turned(request.GET)
    if turned and getattr(request, "htmx", False):
        return render(request, "executions/_column.html", {"shown": _executions(only=turned)[0]})
    context = {
        "since": since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "columns": [_planning(), *_executions(turned=turned)],
        "library": [fragments.library(task) for task in Task.objects.in_library()],
        "stopped": queries.count_in("cancelled"),
        "tables": columns.for_script(),
    }
    return render(request, "executions/board.html", context)


@require_POST
@login_required
def move(request: HttpRequest) -> HttpResponse:
    """A card was dropped on a column (or its button pressed): the verb that stands for it, or why not.

    Answers the page's script with the card as it is now, 409 and the reason, or 422 and the address of the form that asks
    for what is missing; without script, with the board or that form.
    """
    form = MoveForm({**request.GET.dict(), **request.POST.dict()})
    if not form.is_valid():
        return _refused(request, " ".join(str(wrong) for found in form.errors.values() for wrong in found), status=400)
    said = form.cleaned_data
    by = asking(request, scope="read")
    try:
        drop = moving.dropped(said["card"], to=said["to"], before=said["before"], key=said["key"], by=by)
        asking(request, scope=moving.scope(drop))
        moved = moving.move(drop, now=timezone.now())
    except moving.NoSuchCard as missing:
        return _refused(request, str(missing), status=404)
    except Refused as refused:
        return _refused(request, refused.message, status=409)
    except Invalid as invalid:
        return _asks(request, drop.task, drop.plan, invalid)
    if getattr(request, "htmx", False):
        return HttpResponse(moved.html)
    messages.success(request, moved.told)
    return redirect("board")


def _planning() -> Shown:
    standing = Plan.objects.standing()
    cards = [fragments.plan(plan) for plan in standing[: queries.MOST_COUNTED]]
    return Shown(COLUMNS[0], cards, len(cards))


def _executions(*, turned: Turned | None = None, only: Turned | None = None) -> list[Shown]:
    """The columns of executions, with the reasons of all that do not move read at once."""
    wanted = [column for column in COLUMNS[1:] if only is None or column == only.column]
    rows = {column.name: _rows(column, only or turned) for column in wanted}
    reasons = waiting.reasons(row for found in rows.values() for row in found[:A_PAGE])
    return [_shown(column, rows[column.name], reasons) for column in wanted]


def _rows(column: Column, turned: Turned | None) -> list[Execution]:
    """One more than a page, which tells whether there is a next one."""
    after = turned.after if turned and turned.column == column else None
    return queries.in_column(column.name, after=after, limit=A_PAGE + 1)


def _shown(column: Column, rows: list[Execution], reasons: Mapping[UUID, Why]) -> Shown:
    page = rows[:A_PAGE]
    return Shown(
        column,
        [fragments.card(row, reasons.get(row.pk)) for row in page],
        queries.count_in(column.name),
        more=_address_after(column, page[-1]) if len(rows) > A_PAGE else "",
        working=sum(row.state in HELD for row in page),
    )


@dataclass(frozen=True, slots=True)
class Turned:
    """A column turned to the cards after one: its keyset."""

    column: Column
    after: tuple[datetime | float, UUID]


def _turned(query: Mapping[str, str]) -> Turned | None:
    if "column" not in query:
        return None
    column = next((known for known in COLUMNS[1:] if known.name == query["column"]), None)
    at, _, pk = query.get("after", "").partition("~")
    try:
        first = float(at) if query["column"] == "pending" else datetime.fromisoformat(at)
        if column is None or (isinstance(first, datetime) and first.tzinfo is None):
            raise ValueError
        return Turned(column, (first, UUID(pk)))
    except ValueError:
        raise Http404("There is no such page of this column.") from None


def _address_after(column: Column, last: Execution) -> str:
    first = repr(last.rank) if column.name == "pending" else last.state_at.isoformat()
    return f"{reverse('board')}?{urlencode({'column': column.name, 'after': f'{first}~{last.pk}'})}"


def _refused(request: HttpRequest, why: str, *, status: int) -> HttpResponse:
    if getattr(request, "htmx", False):
        return HttpResponse(why, status=status, content_type="text/plain; charset=utf-8")
    messages.error(request, why)
    return redirect("board")


def _asks(request: HttpRequest, task: Task, plan: Plan | None, invalid: Invalid) -> HttpResponse:
    """To the form of the task's input."""
    form = f"/tasks/{task.slug}/run/" + (f"?plan={plan.pk}" if plan else "")
    if not getattr(request, "htmx", False):
        return redirect(form)
    response = HttpResponse(invalid.message, status=422, content_type="text/plain; charset=utf-8")
    response["Location"] = form
    return response
