"""What is run by the clock: each schedule with its next ticks and what came of the last one; paused and let go on here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from executions import queries
from executions.board.people import asking, may
from executions.board.wording import Look, actor, look
from executions.durations import ago, round_duration
from executions.models import Firing
from tasks import schedules
from tasks.models import Schedule

SCOPE = "define"
MOST = 500
SHOWN = 3
MISSED = {
    Schedule.Missed.SKIP: "what was missed is skipped",
    Schedule.Missed.ONE: "what was missed is run once",
    Schedule.Missed.ALL: "all that was missed is run",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One schedule; `rule` and `missed` in words, `paused` by whom and since when, `look` that of its last execution."""

    schedule: Schedule
    rule: str
    missed: str
    paused: str
    upcoming: list[datetime]
    last: Firing | None
    look: Look | None


@require_safe
@login_required
def schedules_page(request: HttpRequest) -> HttpResponse:
    """The page."""
    now = timezone.now()
    rows = list(Schedule.objects.standing().order_by("name")[: MOST + 1])
    last = queries.last_firings(rows[:MOST])
    context = {
        "lines": [_line(row, last.get(row.pk), now) for row in rows[:MOST]],
        "left_out": len(rows) > MOST,
        "may_change": may(request, SCOPE),
    }
    return render(request, "executions/schedules.html", context)


@require_POST
@login_required
def schedule(request: HttpRequest, name: str, act: str) -> HttpResponse:
    """Pause a schedule or let it go on; then the page."""
    principal = asking(request, scope=SCOPE)
    try:
        if act == "pause":
            schedules.pause(name, now=timezone.now(), actor=principal.actor)
        else:
            schedules.resume(name, now=timezone.now())
    except Schedule.DoesNotExist:
        raise Http404(f"There is no schedule “{name}”.") from None
    return redirect("schedules")


def _line(row: Schedule, last: Firing | None, now: datetime) -> Line:
    return Line(
        schedule=row,
        rule=f"{row.cron} · {row.timezone}" if row.cron else f"every {round_duration(row.every or 0)}",
        missed=MISSED[Schedule.Missed(row.missed)],
        paused=f"by {actor(row.paused_by)}, {ago(row.paused_at, now=now)}" if row.paused_at else "",
        upcoming=row.following(SHOWN),
        last=last,
        look=look(last.execution) if last and last.execution else None,
    )
