"""What people are asked: the inbox, one question, and the answer that comes back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from executions import queries, transitions
from executions.board import execution
from executions.board.asking import Tried, asked, said, value_of
from executions.board.people import asking, typed
from executions.board.wording import actor
from executions.durations import ago
from executions.models import Question
from executions.transitions import Refused
from tasks.schema import Invalid

MOST_OPEN = 50
JUST_ANSWERED = 8
LONGEST_NOTE = 10_000


@require_safe
@login_required
def inbox(request: HttpRequest) -> HttpResponse:
    """Every open question, the oldest first."""
    return _inbox(request)


@require_safe
@login_required
def question(request: HttpRequest, pk: UUID) -> HttpResponse:
    """One question, open or not."""
    return _alone(request, _found(pk))


@require_POST
@login_required
def answer(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Take an answer and go back to where it was given; from the inbox that is the next question."""
    principal, found = asking(request, scope="answer"), _found(pk)
    sent = {name: str(text) for name, text in request.POST.dict().items()}
    chosen, note = tuple(request.POST.getlist("value")), typed(sent.get("note", ""), most=LONGEST_NOTE)
    try:
        value = value_of(found, sent, chosen)
        transitions.answer(pk, value=value, now=timezone.now(), actor=principal.actor, note=note)
    except Invalid as wrong:
        return _again(request, Tried(_found(pk), sent, chosen, problems=tuple(wrong.problems)), status=422)
    except Refused as refused:
        return _again(request, Tried(_found(pk), sent, chosen, refused=refused.message), status=409)
    if sent.get("back") == "inbox":
        return redirect("questions")
    return redirect("execution", pk=found.execution_id)


def _again(request: HttpRequest, tried: Tried, *, status: int) -> HttpResponse:
    """The page the answer came from, with what was typed and why it was not taken."""
    if tried.data.get("back") == "inbox":
        return _inbox(request, tried=tried, status=status)
    return execution.page(request, tried.question.execution_id, tried=tried, status=status)


def _inbox(request: HttpRequest, *, tried: Tried | None = None, status: int = 200) -> HttpResponse:
    since, now = queries.present(), timezone.now()
    rows = list(queries.open_questions()[: MOST_OPEN + 1])
    closed = Question.objects.exclude(state=Question.State.OPEN).select_related("execution").order_by("-pk")
    shown = rows[:MOST_OPEN]
    if tried and tried.question.state != Question.State.OPEN:
        shown = [tried.question, *shown]
    context: dict[str, Any] = {
        "since": since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "asked": [asked(row, now=now, tried=tried if tried and tried.question.pk == row.pk else None) for row in shown],
        "open": [{"question": row, "ago": ago(row.asked_at, now=now)} for row in rows[:MOST_OPEN]],
        "left_out": queries.open_question_count() - MOST_OPEN if len(rows) > MOST_OPEN else 0,
        "closed": [_closed(row, now) for row in closed[:JUST_ANSWERED]],
    }
    return render(request, "executions/questions.html", context, status=status)


def _closed(row: Question, now: datetime) -> dict[str, Any]:
    return {
        "question": row,
        "by": actor(row.answered_by),
        "said": said(row),
        "ago": ago(row.answered_at or row.asked_at, now=now),
    }


def _alone(request: HttpRequest, found: Question) -> HttpResponse:
    context = {"asked": asked(found, now=timezone.now()), "execution": found.execution}
    return render(request, "executions/question.html", context)


def _found(pk: UUID) -> Question:
    return get_object_or_404(Question.objects.select_related("execution", "execution__task"), pk=pk)
