"""The board and what is done on it."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe


@require_safe
@login_required
def board(request: HttpRequest) -> HttpResponse:
    """The five columns and the library."""
    return render(request, "executions/board.html")
