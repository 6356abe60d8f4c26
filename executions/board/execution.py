"""One execution's page: where it stands, what it did, what it asks, what it made of its input; and who belongs to it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.db.models import F, QuerySet
from django.db.models.functions import Length, Substr
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from executions import queries, waiting
from executions.board import failure, values
from executions.board.asking import Tried, asked
from executions.board.course import TURNS, time_bar, timeline
from executions.board.log import tail
from executions.board.people import may
from executions.board.wording import ASKS, happening, look, plural
from executions.models import Attempt, Event, Execution, Question, Step, Wait
from executions.states import HELD, PHASES, State, WaitingFor, allowed_verbs

MOST_ATTEMPTS = 20
MOST_STEPS = 50
MOST_EVENTS = 40
MOST_CHILDREN = 100
SCOPES = {"pause": "cancel", "resume": "cancel", "cancel": "cancel", "terminate": "cancel", "retry": "submit"}
EVENTS_A_PAGE = 200
FAILED = PHASES["failed"]
LATELY = timedelta(minutes=2)


@require_safe
@login_required
def execution(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The page."""
    return page(request, pk)


@require_safe
@login_required
def live(request: HttpRequest, pk: UUID) -> HttpResponse:
    """What changes on the page while it is open: each part by its id."""
    found = get_object_or_404(_rows(), pk=pk)
    return render(request, "executions/live.html", _about(request, found, now=timezone.now()))


@require_safe
@login_required
def value(request: HttpRequest, pk: UUID, name: str) -> HttpResponse:
    """Input, output or error as a file."""
    found = get_object_or_404(Execution.objects.only("number", name), pk=pk)
    response = HttpResponse(getattr(found, name) or "null", content_type="application/json")
    response["Content-Disposition"] = f'attachment; filename="{found}-{name}.json"'
    return response


@require_safe
@login_required
def events(request: HttpRequest, pk: UUID) -> HttpResponse:
    """All of its history, the newest first."""
    found = get_object_or_404(Execution.objects.for_cards(), pk=pk)
    before = request.GET.get("before", "")
    rows = Event.objects.filter(execution=pk).order_by("-seq")
    if before.isascii() and before.isdigit():
        rows = rows.filter(seq__lt=before)
    happenings = [happening(event) for event in rows[: EVENTS_A_PAGE + 1]]
    context = {
        "execution": found,
        "happenings": happenings[:EVENTS_A_PAGE],
        "next": happenings[EVENTS_A_PAGE - 1].seq if len(happenings) > EVENTS_A_PAGE else None,
    }
    return render(request, "executions/events.html", context)


def page(
    request: HttpRequest, pk: UUID, *, tried: Tried | None = None, refused: str = "", status: int = 200
) -> HttpResponse:
    """The page; with an answer that was tried and not taken, or with why something was refused."""
    since = queries.present()
    found = get_object_or_404(_rows(), pk=pk)
    context = {
        **_about(request, found, now=timezone.now(), tried=tried),
        "since": since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "refused": refused,
        "lines": tail(found),
        "lines_told": plural(found.last_line, "line"),
    }
    return render(request, "executions/execution.html", context, status=status)


def _rows() -> QuerySet[Execution]:
    """An execution with the beginning of its input and output, however large they are."""
    return (
        Execution.objects.defer("input", "output")
        .select_related("task", "task_version", "owner")
        .annotate(
            input_head=Substr("input", 1, values.MOST_TEXT),
            input_length=Length("input"),
            output_head=Substr("output", 1, values.MOST_TEXT),
            output_length=Length("output"),
            parent_number=F("parent__number"),
        )
    )


def _about(request: HttpRequest, found: Execution, *, now: datetime, tried: Tried | None = None) -> dict[str, Any]:
    """What the parts of the page tell."""
    attempts = list(found.attempts.order_by("-number")[:MOST_ATTEMPTS])[::-1]
    steps = list(found.steps.defer("value").order_by("-id")[:MOST_STEPS])[::-1]
    questions, waits = list(found.questions.all()), list(found.waits.all())
    current = _current(questions, now)
    newest = list(found.events.order_by("-seq")[:MOST_EVENTS])
    turns = found.events.filter(kind__in=TURNS).order_by("seq")
    steps_count = found.steps.count() if len(steps) == MOST_STEPS else len(steps)
    why = waiting.reasons([found]).get(found.pk)
    return {
        "execution": found,
        "look": look(found),
        "why": why,
        "is_at_work": found.state in HELD,
        "asks": ASKS,
        **_acts(request, found),
        **_family(found, waits),
        "time": time_bar(found, turns, now=now),
        "timeline": timeline(found, attempts, steps, questions, waits, now=now, why=why),
        "attempts": attempts,
        "compared_attempts": failure.side_by_side(attempts[-5:]) if len(attempts) > 1 else [],
        "attempts_compared": attempts[-5:],
        "steps": steps,
        "steps_count": steps_count,
        "steps_left_out": steps_count - len(steps),
        "happenings": [happening(event) for event in newest],
        "asked": [asked(question, now=now, tried=_about_this(question, tried)) for question in current],
        "answered": [asked(question, now=now) for question in questions if question not in current],
        "values": list(_values(found)),
        **_failed(found, attempts),
    }


def _acts(request: HttpRequest, found: Execution) -> dict[str, Any]:
    """What may be asked of it now, by whoever looks."""
    allowed = allowed_verbs(found.state, pausing=found.pausing, waiting_for=found.waiting_for)
    return {"acts": [verb for verb in allowed if verb in SCOPES and may(request, SCOPES[verb])]}


def _family(found: Execution, waits: Sequence[Wait]) -> dict[str, Any]:
    """Its other runs, and what it started."""
    runs = queries.runs(found.lineage) if found.run > 1 or found.is_final else []
    has_children = any(wait.kind == WaitingFor.CHILDREN for wait in waits)
    children = queries.children(found.pk, limit=MOST_CHILDREN + 1) if has_children else []
    return {
        "runs": runs if len(runs) > 1 else [],
        "children": [{"execution": child, "look": look(child)} for child in children[:MOST_CHILDREN]],
        "more_children": len(children) > MOST_CHILDREN,
    }


def _current(questions: Sequence[Question], now: datetime) -> list[Question]:
    """What is asked now, and what was closed so lately that somebody may still be typing an answer to it."""
    return [
        question
        for question in questions
        if question.state == Question.State.OPEN or (question.answered_at and now - question.answered_at < LATELY)
    ]


def _about_this(question: Question, tried: Tried | None) -> Tried | None:
    return tried if tried and tried.question.pk == question.pk else None


def _values(found: Any) -> list[values.Shown]:
    """Input, and output where there is one."""
    shown = [values.shown("input", "Input", found.input_head, characters=found.input_length)]
    if found.output_head is not None:
        shown.append(values.shown("output", "Output", found.output_head, characters=found.output_length))
    return shown


def _failed(found: Execution, attempts: Sequence[Attempt]) -> dict[str, Any]:
    """Why it failed and how it went when it went well; or the error after which it is tried again."""
    if found.state not in FAILED:
        error = failure.told(failure.read(found)) if found.error and found.state != State.COMPLETED else ""
        return {"last_error": error}
    good, recorded = _last_good(found), found.steps.filter(kind=Step.Kind.STEP).count()
    return {
        "failure": failure.failure(found, recorded=recorded),
        "good": good,
        "rows": _compared(found, good, attempts) if good else [],
    }


def _last_good(found: Execution) -> Execution | None:
    """The last run of the same task that completed."""
    rows: QuerySet[Any] = _rows().filter(task=found.task_id, state=State.COMPLETED)
    good: Execution | None = rows.order_by("-finished_at").first()
    return good


def _compared(found: Any, good: Any, attempts: Sequence[Attempt]) -> list[failure.Row]:
    worked = _worked(list(good.attempts.all())), _worked(attempts)
    return failure.compared(found, good, worked=worked, inputs=(good.input_head, found.input_head))


def _worked(attempts: Sequence[Attempt]) -> float:
    """Seconds that attempts took, those that have ended."""
    lengths = (attempt.finished_at - attempt.claimed_at for attempt in attempts if attempt.finished_at)
    return sum(lengths, timedelta()).total_seconds()
