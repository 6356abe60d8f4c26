"""An execution's log: the last lines for the page, any range for its viewer, all of it as plain text."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from executions import queries
from executions.models import Execution, LogLine

ON_PAGE = 500
MOST_LINES = 1000
LONGEST_LINE = 4000  # characters that a page shows of one line; the download has all of them
AT_ONCE = 5000
ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f]")
MARKS = {"error": "err", "critical": "err", "warning": "wrn"}


@dataclass(frozen=True, slots=True)
class Row:
    """A line as the page draws it without a script: plain, its colours taken off."""

    n: int
    at: str
    level: str
    mark: str
    text: str


@require_safe
@login_required
def log(request: HttpRequest, pk: UUID) -> JsonResponse:
    """Lines with n > `after`, at most `limit` of them, and the number of the last there is."""
    last = get_object_or_404(Execution.objects.lean(), pk=pk).last_line
    after, limit = _number(request, "after", 0), _number(request, "limit", ON_PAGE)
    lines = queries.lines(pk, after=after, limit=min(limit, MOST_LINES))
    return JsonResponse({"last": last, "lines": [_told(line) for line in lines]})


@require_safe
@login_required
def log_text(request: HttpRequest, pk: UUID) -> StreamingHttpResponse:
    """The whole log, as its author's code wrote it, with time and level in front."""
    execution = get_object_or_404(Execution.objects.lean(), pk=pk)
    response = StreamingHttpResponse(_all(pk), content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{execution}.log"'
    response["X-Content-Type-Options"] = "nosniff"
    return response


def tail(execution: Execution) -> list[Row]:
    """The last lines, for a page that works without a script."""
    lines = queries.lines(execution.pk, after=max(execution.last_line - ON_PAGE, 0), limit=ON_PAGE)
    return [_row(line) for line in lines]


async def _all(pk: UUID) -> AsyncIterator[str]:
    after = 0
    while lines := await sync_to_async(queries.lines)(pk, after=after, limit=AT_ONCE):
        yield "".join(f"{line.at:%Y-%m-%dT%H:%M:%S.%f}Z {line.level:<7} {line.text}\n" for line in lines)
        after = lines[-1].n


def _told(line: LogLine) -> dict[str, Any]:
    return {
        "n": line.n,
        "attempt": line.attempt,
        "at": line.at.isoformat(),
        "stream": line.stream,
        "level": line.level,
        "text": _clipped(CONTROLS.sub("\N{REPLACEMENT CHARACTER}", line.text)),
    }


def _row(line: LogLine) -> Row:
    plain = CONTROLS.sub("\N{REPLACEMENT CHARACTER}", ESCAPES.sub("", line.text)).replace("\x1b", "")
    return Row(line.n, f"{line.at:%H:%M:%S}.{line.at.microsecond // 1000:03}", line.level,
               MARKS.get(line.level, ""), _clipped(plain))  # fmt: skip


def _clipped(text: str) -> str:
    if len(text) <= LONGEST_LINE:
        return text
    return f"{text[:LONGEST_LINE]}… {len(text) - LONGEST_LINE:,} more characters, in the download"


def _number(request: HttpRequest, name: str, otherwise: int) -> int:
    """A number from the address; what is none counts as not said."""
    text = request.GET.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else otherwise  # noqa: PLR2004 — fits a column
