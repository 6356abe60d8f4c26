"""Running again what has ended: the same, with another input, with what was recorded, from a step, or with another answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from executions import transitions
from executions.board.asking import Tried, asked, value_of
from executions.board.execution import page
from executions.board.people import asking, typed
from executions.models import Execution, Question, Step
from executions.transitions import Again, Refused
from tasks import forms
from tasks.models import TaskVersion
from tasks.schema import Invalid, Problem

MOST_STEPS = 500
EVERYTHING = "all"
UNDER_WAY = "{} has not ended yet: it can be run again when it has."


@dataclass(frozen=True, slots=True)
class Keep:
    """What a new run may take over: `key` is what the form sends."""

    key: str
    told: str


@require_safe
@login_required
def again(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The form: the input as it was, and what to keep (`?keep=`); or, with `?question=`, the question to be answered anew."""
    found = _found(pk)
    if not found.is_final:
        return page(request, pk, refused=UNDER_WAY.format(found), status=409)
    if question := _question(found, request.GET.get("question", "")):
        return _show_question(request, found, question)
    keep = request.GET.get("keep", "")
    return _show(request, found, forms.blank(_schema(found, keep), value=json.loads(found.input)), keep=keep)


@require_POST
@login_required
def retry(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Make the new run, and go to it. Without any member it is the same again."""
    principal, found = asking(request, scope="submit"), _found(pk)
    sent = {name: str(text) for name, text in request.POST.dict().items()}
    question = _question(found, sent.get("again.question", ""))
    keep = sent.get("again.keep", "")
    form = forms.typed(_schema(found, keep), sent) if "again.edited" in sent and question is None else None
    chosen = tuple(request.POST.getlist("value"))
    try:
        how = _fork(question, sent, chosen) if question else _kept(found, form, keep, sent)
        new = transitions.rerun(
            pk, again=how, now=timezone.now(), actor=principal.actor, owner=principal.user,
            idempotency_key=typed(sent.get("again.key", ""), most=100) or None,
        )  # fmt: skip
    except Invalid as wrong:
        if question:
            return _show_question(
                request, found, question, Tried(question, sent, chosen, problems=_of_value(wrong)), 422
            )
        tried = form or forms.blank(_schema(found, keep), value=json.loads(found.input))
        return _show(request, found, tried.blamed(wrong.problems, root="/input"), keep=keep, status=422)
    except Refused as refused:
        return page(request, pk, refused=refused.message, status=409)
    return redirect("execution", pk=new.pk)


def _kept(found: Execution, form: forms.SchemaForm | None, keep: str, sent: Mapping[str, str]) -> Again:
    version = sent.get("again.version", "")
    number = int(version) if version.isascii() and version.isdigit() and len(version) < 10 else None  # noqa: PLR2004 — fits a column
    kept: dict[str, Any] = {"resume": True} if keep == EVERYTHING else {}
    if keep and keep != EVERYTHING:
        occurrence, _, key = keep.partition(":")
        if not (occurrence.isascii() and occurrence.isdigit() and len(occurrence) < 10):  # noqa: PLR2004 — fits a column
            raise Invalid("It cannot go on from there.", [Problem("/from_step", "is no step")])
        kept = {"from_step": key, "occurrence": int(occurrence)}
    return Again(input=_edited(found, form, keep), version=number, **kept)


def _edited(found: Execution, form: forms.SchemaForm | None, keep: str) -> Any:
    """The input where it was changed; None where the form came back as it was shown."""
    if form is None:
        return None
    value = form.read()
    try:
        shown = forms.blank(_schema(found, keep), value=json.loads(found.input)).read()
    except Invalid:
        return value
    return None if value == shown else value


def _fork(question: Question, sent: Mapping[str, str], chosen: tuple[str, ...]) -> Again:
    return Again(question=question.pk, answer=value_of(question, sent, chosen))


def _of_value(wrong: Invalid) -> tuple[Problem, ...]:
    """What is wrong with an answer, at the places of the form."""
    return tuple(
        Problem(problem.pointer.replace("/answer", "/value", 1), problem.message) for problem in wrong.problems
    )


def _show(
    request: HttpRequest, found: Execution, form: forms.SchemaForm, *, keep: str, status: int = 200
) -> HttpResponse:
    assert found.task.latest is not None
    context = {
        "execution": found,
        "form": form,
        "keep": keep,
        "keeps": _keeps(found),
        "versions": [] if found.task.latest == found.task_version else [found.task.latest, found.task_version],
        "key": uuid4().hex,
    }
    return render(request, "executions/again.html", context, status=status)


def _show_question(
    request: HttpRequest, found: Execution, question: Question, tried: Tried | None = None, status: int = 200
) -> HttpResponse:
    shown = asked(question, now=timezone.now(), tried=tried)
    context = {"execution": found, "ask": shown, "key": uuid4().hex}
    return render(request, "executions/again.html", context, status=status)


def _keeps(found: Execution) -> list[Keep]:
    steps = list(found.steps.filter(kind=Step.Kind.STEP).values_list("key", "occurrence")[:MOST_STEPS])
    before = [Keep(f"{n}:{key}", f"What came before {key}{f' × {n + 1}' if n else ''}") for key, n in steps]
    return [Keep("", "Nothing: all of it runs again"), Keep(EVERYTHING, "Everything that was recorded"), *before]


def _schema(found: Execution, keep: str) -> dict[str, Any]:
    """Of the version that will run, unless another is chosen: what is kept belongs to the one that recorded it."""
    version: TaskVersion | None = found.task_version if keep else found.task.latest
    return version.input_schema if version else {}


def _found(pk: UUID) -> Execution:
    rows = Execution.objects.defer("output", "error").select_related("task", "task__latest", "task_version")
    return get_object_or_404(rows, pk=pk)


def _question(found: Execution, pk: str) -> Question | None:
    if not pk:
        return None
    try:
        return get_object_or_404(found.questions, pk=UUID(pk), state=Question.State.ANSWERED)
    except ValueError:
        raise Http404("There is no such question.") from None
