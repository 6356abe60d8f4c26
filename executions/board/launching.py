"""Starting a task from a form: the fields of its input, and what is wrong with them beside them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from executions import transitions
from executions.board.people import asking, typed
from executions.models import Execution
from executions.transitions import Refused, Submission
from tasks import forms, planning
from tasks.access import Principal
from tasks.models import Plan, Task
from tasks.schema import Invalid


@dataclass(frozen=True, slots=True)
class Launch:
    """What is to be started: a task, perhaps from a plan, with a key that makes a second click the first one's."""

    task: Task
    plan: Plan | None
    key: str

    @property
    def schema(self) -> dict[str, Any]:
        return self.task.latest.input_schema if self.task.latest else {}


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def launch(request: HttpRequest, slug: str) -> HttpResponse:
    """The form, filled from the plan, from an earlier execution (`like`) or by defaults; and what it sends."""
    task = get_object_or_404(Task.objects.in_library(), slug=slug)
    if request.method != "POST":
        wanted = Launch(task, _plan(task, request.GET.get("plan", "")), uuid4().hex)
        return _show(request, wanted, forms.blank(wanted.schema, value=_started(wanted, request.GET.get("like", ""))))
    wanted = Launch(
        task, _plan(task, request.POST.get("launch.plan", "")), typed(request.POST.get("launch.key", ""), most=100)
    )
    return _planned(request, wanted) if request.POST.get("launch.to") == "planning" else _launched(request, wanted)


def _launched(request: HttpRequest, wanted: Launch) -> HttpResponse:
    principal = asking(request, scope="submit")
    form = _typed(request, wanted)
    try:
        submission = _submit(wanted, form.read(), principal)
    except Invalid as wrong:
        blamed = form.blamed(wrong.problems, root="/input")
        return _show(request, wanted, blamed, status=422)
    except Refused as refused:
        fresh = Launch(wanted.task, wanted.plan, uuid4().hex)
        return _show(request, fresh, form, refused=refused.message, status=409)
    return _done(request, submission)


def _planned(request: HttpRequest, wanted: Launch) -> HttpResponse:
    """Keep what was typed as a plan, fit or not: a draft is not a submission."""
    principal = asking(request, scope="submit")
    form = _typed(request, wanted)
    try:
        draft = form.read()
    except Invalid as wrong:
        return _show(request, wanted, form.blamed(wrong.problems), status=422)
    try:
        if wanted.plan is None:
            planning.plan(wanted.task, now=timezone.now(), by=principal.user, input=draft)
        else:
            planning.edit(wanted.plan.pk, now=timezone.now(), input=draft)
    except planning.NotPlanned as late:
        return _show(request, wanted, form, refused=str(late), status=409)
    return _back(request, reverse("board"), told={"planned": wanted.task.slug})


def _submit(wanted: Launch, input: Any, principal: Principal) -> Submission:
    return transitions.submit(
        wanted.task,
        input=input,
        now=timezone.now(),
        actor=principal.actor,
        owner=principal.user,
        plan=wanted.plan,
        idempotency_key=wanted.key or None,
    )


def _done(request: HttpRequest, submission: Submission) -> HttpResponse:
    execution = submission.execution
    card = f"execution-{execution.pk}"
    told = {"id": str(execution.pk), "number": str(execution), "title": execution.title}
    return _back(request, f"{reverse('board')}#{card}", told={"launched": told})


def _back(request: HttpRequest, where: str, *, told: dict[str, Any]) -> HttpResponse:
    """To the board; a form in a dialog tells the board's script instead, which closes the dialog."""
    if not getattr(request, "htmx", False):
        return redirect(where)
    response = HttpResponse(status=204)
    response["HX-Trigger"] = json.dumps(told)
    return response


def _show(
    request: HttpRequest, wanted: Launch, form: forms.SchemaForm, *, refused: str = "", status: int = 200
) -> HttpResponse:
    template = "tasks/_run_form.html" if getattr(request, "htmx", False) else "tasks/run.html"
    context = {
        "task": wanted.task,
        "version": wanted.task.latest,
        "plan": wanted.plan,
        "key": wanted.key,
        "form": form,
        "refused": refused,
        "in_dialog": bool(getattr(request, "htmx", False)),
    }
    return render(request, template, context, status=status)


def _typed(request: HttpRequest, wanted: Launch) -> forms.SchemaForm:
    return forms.typed(wanted.schema, {name: str(text) for name, text in request.POST.dict().items()})


def _plan(task: Task, pk: str) -> Plan | None:
    """The plan that is to be launched; of one that was launched before the door finds the execution."""
    if not pk:
        return None
    if not (pk.isascii() and pk.isdigit()):
        raise Http404(f"There is no plan “{pk[:50]}”.")
    return get_object_or_404(Plan.objects.select_related("task"), pk=int(pk), task=task)


def _started(wanted: Launch, like: str) -> Any:
    """What the form starts with: the input of an earlier execution, or the plan's draft."""
    if like:
        try:
            text = Execution.objects.values_list("input", flat=True).get(pk=UUID(like), task=wanted.task)
        except (ValueError, Execution.DoesNotExist):
            raise Http404("There is no such execution of this task.") from None
        return json.loads(text)
    return wanted.plan.input if wanted.plan else None
