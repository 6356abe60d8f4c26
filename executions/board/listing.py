"""The list of executions: filters live in the address, and pages go by key, so that the last is as near as the first."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from executions import queries
from executions.board.people import typed
from executions.board.wording import LOOKS, Look, look
from executions.durations import ago, duration
from executions.models import Execution
from executions.models.execution import ExecutionQuerySet
from executions.states import PHASES, State
from tasks.models import Task

A_PAGE = 50
MOST_TASKS = 500


@dataclass(frozen=True, slots=True)
class Line:
    """One execution in the list."""

    execution: Execution
    look: Look
    ago: str
    took: str


@dataclass(frozen=True, slots=True)
class Filters:
    """What the list is narrowed to; empty words narrow nothing."""

    q: str = ""
    phase: str = ""
    state: str = ""
    task: str = ""
    queue: str = ""

    @property
    def said(self) -> dict[str, str]:
        return {name: getattr(self, name) for name in self.__slots__ if getattr(self, name)}


@require_safe
@login_required
def executions(request: HttpRequest) -> HttpResponse:
    """The newest first."""
    filters = Filters(**{name: typed(request.GET.get(name, ""), most=200).strip() for name in Filters.__slots__})
    now = timezone.now()
    rows = list(_after(_narrowed(filters), request.GET.get("before", ""))[: A_PAGE + 1])
    more = rows[A_PAGE - 1] if len(rows) > A_PAGE else None
    queues = queries.queue_names()
    context = {
        "filters": filters,
        "address": request.get_full_path(),
        "now": now,
        "unknown": [] if rows else _unknown(filters, queues),
        "lines": [_line(row, now) for row in rows[:A_PAGE]],
        "next": _address(filters, more) if more else "",
        "is_first": not request.GET.get("before"),
        "phases": list(PHASES),
        "states": [(str(state), LOOKS[state].word) for state in State],
        "queues": queues,
        "tasks": Task.objects.order_by("title", "slug")[:MOST_TASKS],
    }
    return render(request, "executions/executions.html", context)


def _unknown(filters: Filters, queues: Collection[str]) -> list[str]:
    """Filters that name what there is not, in words."""
    checks = (
        ("phase", filters.phase, filters.phase in PHASES),
        ("state", filters.state, filters.state in LOOKS),
        ("task", filters.task, not filters.task or Task.objects.filter(slug=filters.task).exists()),
        ("queue", filters.queue, filters.queue in queues),
    )
    return [f"There is no {name} “{said}”" for name, said, is_known in checks if said and not is_known]


def _narrowed(filters: Filters) -> ExecutionQuerySet:
    rows = Execution.objects.lean().select_related("task", "task_version", "owner")
    if filters.phase:
        rows = rows.filter(queries.in_phases([filters.phase]))
    if filters.state:
        rows = rows.filter(state=filters.state)
    if filters.task:
        rows = rows.filter(task__slug=filters.task)
    if filters.queue:
        rows = rows.filter(queue=filters.queue)
    if filters.q:
        rows = rows.matching(filters.q)
    return rows.order_by("-created_at", "-id")


def _after(rows: ExecutionQuerySet, cursor: str) -> ExecutionQuerySet:
    """The rows beyond a cursor; one that cannot be read is no cursor."""
    at, tilde, pk = cursor.partition("~")
    try:
        moment, last = datetime.fromisoformat(at), UUID(pk)
    except ValueError:
        return rows
    if not tilde or timezone.is_naive(moment):
        return rows
    return rows.filter(created_at__lte=moment).exclude(created_at=moment, id__gte=last)


def _address(filters: Filters, last: Execution) -> str:
    return "?" + urlencode({**filters.said, "before": f"{last.created_at.isoformat()}~{last.pk}"})


def _line(row: Execution, now: datetime) -> Line:
    end = row.finished_at or now
    return Line(row, look(row), ago(row.created_at, now=now), duration(end - row.started_at) if row.started_at else "")
