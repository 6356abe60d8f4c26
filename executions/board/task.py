"""A task's page: what it does, its policies in sentences, its versions and what changed, and how it went lately."""

from __future__ import annotations

import difflib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from executions.board.listing import Line
from executions.board.people import may
from executions.board.wording import actor, look, memory, plural
from executions.durations import ago, duration, round_duration
from executions.models import Attempt, Execution
from executions.states import State
from tasks import forms
from tasks.models import Task, TaskVersion
from tasks.policy import Concurrency, Level, Limits, OnConflict, Rate, RetryPolicy, Security

RECENT = 8
USUAL_OF = 20
MOST_VERSIONS = 50
MOST_LINES = 3000  # of a source that is compared line by line
DELAYS_SAID = 3
SECURITY = {
    Level.LOW: "inside the house: a registered action, in a process of its own",
    Level.MEDIUM: "in a sandbox: no network, no files but its own, nothing of the host",
    Level.HIGH: "in the strictest sandbox there is",
}
CONFLICTS = {
    OnConflict.QUEUE: "the next waits its turn",
    OnConflict.SKIP: "one more is cancelled at once",
    OnConflict.CANCEL_RUNNING: "one more cancels the oldest and starts when that has ended",
}


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy as a sentence."""

    icon: str
    name: str
    sentence: str


@dataclass(frozen=True, slots=True)
class DiffLine:
    """A line of a comparison: `sign` is +, − or a space, `n` its number in the version that has it."""

    n: int
    sign: str
    mark: str
    text: str


@dataclass(frozen=True, slots=True)
class Diff:
    """What one file became."""

    name: str
    lines: tuple[DiffLine, ...]
    is_whole: bool = False


@require_safe
@login_required
def task(request: HttpRequest, slug: str) -> HttpResponse:
    """The page; `?version=` picks the version that is shown and compared with the one before it."""
    found = get_object_or_404(Task.objects.select_related("latest"), slug=slug)
    if found.latest is None:
        raise Http404("This task has no version yet.")
    versions = list(found.versions.defer("source")[: MOST_VERSIONS + 1])
    seen = _version(found, request.GET.get("version", ""))
    before = found.versions.filter(number__lt=seen.number).first()
    now = timezone.now()
    recent = list(Execution.objects.lean().filter(task=found).order_by("-created_at", "-id")[:RECENT])
    context = {
        "task": found,
        "version": seen,
        "before": before,
        "runs_on": _runs_on(seen),
        "form": forms.blank(seen.input_schema),
        "policies": _policies(seen),
        "versions": [
            {"version": version, "ago": ago(version.created_at, now=now), "by": actor(version.created_by)}
            for version in versions
        ],
        "diffs": list(_diffs(before, seen)),
        "recent": [_line(row, now) for row in recent],
        "usual": _usual(found),
        "may_run": found.archived_at is None and may(request, "submit"),
    }
    return render(request, "tasks/task.html", context)


def _version(found: Task, number: str) -> TaskVersion:
    if not number:
        assert found.latest is not None
        return found.latest
    if not (number.isascii() and number.isdigit() and len(number) < 10):  # noqa: PLR2004 — fits a column
        raise Http404(f"There is no version “{number[:50]}”.")
    return get_object_or_404(found.versions, number=int(number))


def _line(row: Execution, now: datetime) -> Line:
    took = duration(row.finished_at - row.created_at) if row.finished_at else ago(row.created_at, now=now)
    return Line(row, look(row), ago(row.created_at, now=now), took)


def _usual(found: Task) -> str:
    """How long it usually works: the median of its last runs that completed, without what people and the queue took."""
    last = Execution.objects.filter(task=found, state=State.COMPLETED).order_by("-finished_at").values("pk")[:USUAL_OF]
    attempts = Attempt.objects.filter(execution__in=last)
    worked: defaultdict[UUID, float] = defaultdict(float)
    for pk, begin, end in attempts.values_list("execution", "started_at", "finished_at"):
        if begin and end:
            worked[pk] += (end - begin).total_seconds()
    return duration(median(worked.values())) if worked else ""


def _runs_on(version: TaskVersion) -> str:
    if version.kind == "action":
        return f"action {version.handler}"
    return {"python": "Python", "shell": "Shell", "node": "Node.js", "java": "Java"}.get(
        version.runtime, version.runtime
    )


def _policies(version: TaskVersion) -> list[Policy]:
    retry, limits = RetryPolicy.read(version.retry), Limits.read(version.limits)
    security = Security.read(version.security, default=Level.LOW if version.kind == "action" else Level.MEDIUM)
    return [
        Policy("rotate-cw", "When it fails", _retry(retry)),
        Policy("timer", "How long it may take", f"{round_duration(limits.timeout_seconds)} an attempt; "
               "time that waits for people or in the queue doesn’t count."),
        Policy("server", "What it gets", f"{limits.cpu:g} CPU, {memory(limits.memory)} memory, "
               f"{memory(limits.disk)} disk, {plural(limits.pids, 'process', 'processes')}."),
        Policy("lock", "Where it runs", f"Security {security.level.lower()}: {SECURITY[security.level]}."),
        Policy("layers", "Where it waits", f"In the queue {version.queue}, with {version.priority} priority."),
        *_limits(Concurrency.read(version.concurrency), Rate.read(version.rate)),
    ]  # fmt: skip


def _limits(concurrency: Concurrency, rate: Rate) -> Iterator[Policy]:
    if concurrency.limit is not None:
        of = f" for each {concurrency.key}" if concurrency.key else ""
        yield Policy("gauge", "How many at once", f"{concurrency.limit:,}{of}; {CONFLICTS[concurrency.on_conflict]}.")
    if rate.limit is not None:
        yield Policy("gauge", "How often", f"At most {rate.limit:,} begin in any {round_duration(rate.per_seconds)}.")


def _retry(policy: RetryPolicy) -> str:
    """“Tries again 3 times: after 2 s, 4 s and 8 s, …”"""
    if not policy.max_retries:
        return "It is not tried again."
    delays = [
        min(policy.retry_interval * policy.backoff_multiplier**n, policy.max_interval)
        for n in range(min(policy.max_retries, DELAYS_SAID))
    ]
    told = [round_duration(round(delay, 1)) for delay in delays]
    listed = f"{', '.join(told[:-1])} and {told[-1]}" if len(told) > 1 else told[0]
    more = ", and so on" if policy.max_retries > DELAYS_SAID else ""
    spread = f", give or take {policy.jitter:.0%}" if policy.jitter else ""
    only = f"errors its author calls retryable{_listed(policy.retryable_errors)}"
    return f"Tries again {plural(policy.max_retries, 'time')} after {only}: after {listed}{more}{spread}."


def _listed(errors: Sequence[str]) -> str:
    return f", and {', '.join(errors)}" if errors else ""


def _diffs(before: TaskVersion | None, after: TaskVersion) -> Iterator[Diff]:
    """What changed in source and schemas; of a first version all of its source."""
    name = {"python": "main.py", "shell": "main.sh"}.get(after.runtime, "source")
    if after.source or (before and before.source):
        yield _diff(name, before.source if before else None, after.source)
    for member in ("input_schema", "output_schema"):
        now, then = getattr(after, member), getattr(before, member) if before else None
        if now != then and (now or then):
            yield _diff(member.replace("_", " "), _pretty(then) if then is not None else None, _pretty(now))


def _diff(name: str, before: str | None, after: str) -> Diff:
    new, old = after.splitlines()[:MOST_LINES], (before or "").splitlines()[:MOST_LINES]
    if before is None or old == new:
        return Diff(name, tuple(DiffLine(n, " ", "", text) for n, text in enumerate(new, start=1)), is_whole=True)
    return Diff(name, tuple(_changed(old, new)))


def _changed(old: Sequence[str], new: Sequence[str]) -> Iterable[DiffLine]:
    """Changed lines with three around them."""
    for group in difflib.SequenceMatcher(None, old, new, autojunk=len(new) > MOST_LINES // 2).get_grouped_opcodes(3):
        for tag, old_from, old_to, new_from, new_to in group:
            if tag == "equal":
                yield from (DiffLine(n + 1, " ", "", new[n]) for n in range(new_from, new_to))
                continue
            yield from (DiffLine(n + 1, "−", "del", old[n]) for n in range(old_from, old_to))
            yield from (DiffLine(n + 1, "+", "add", new[n]) for n in range(new_from, new_to))


def _pretty(schema: Any) -> str:
    return json.dumps(schema, ensure_ascii=False, indent=2)
