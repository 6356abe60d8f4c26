"""The library of tasks. A task's own page shows how it went, so it stands with the executions (`executions/board`)."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from tasks.models import Task

MOST_TASKS = 500


@require_safe
@login_required
def library(request: HttpRequest) -> HttpResponse:
    """Every task that can run, by title; `?q=` looks in title, slug and description."""
    q = request.GET.get("q", "")[:200].strip().replace("\0", "")
    tasks = Task.objects.in_library()
    if q:
        tasks = tasks.filter(Q(title__icontains=q) | Q(slug__icontains=q) | Q(description__icontains=q))
    found = list(tasks[: MOST_TASKS + 1])
    context = {"tasks": found[:MOST_TASKS], "q": q, "is_cut": len(found) > MOST_TASKS}
    return render(request, "tasks/tasks.html", context)
