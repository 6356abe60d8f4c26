"""The admin's look at what happened: everything is shown, nothing is changed, and its one action calls the verb."""

from __future__ import annotations

import json
from functools import partial
from typing import Any, ClassVar, cast

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html_join

from executions import transitions
from executions.history.fold import KINDS
from executions.models import (
    QUESTION_KINDS,
    Attempt,
    Event,
    Execution,
    Firing,
    LogChunk,
    Question,
    Signal,
    Step,
    Wait,
    Worker,
)
from executions.models.execution import BULKY, ExecutionQuerySet
from executions.states import State
from executions.transitions import Refused
from tasks import access
from tasks.admin import Looks, link_to, list_of, pre, pretty, words
from tasks.models import PRIORITIES

MOST_AT_ONCE = 1000
OUTCOMES = ("completed", "failed", "timed_out", "rejected", "cancelled", "terminated", "suspended", "lost", "released")
VERSION_BULKY = ("task_version__source", "task_version__input_schema", "task_version__output_schema")
OF_EXECUTION_BULKY = tuple(f"execution__{name}" for name in BULKY)


@admin.register(Execution)
class ExecutionAdmin(Looks):
    list_display = (
        "number", "title", "task", "state", "reason_code", "queue", "worker", "attempt", "created_at", "finished_at",
    )  # fmt: skip
    list_display_links = ("number", "title")
    list_filter = (
        words("state", list(State)),
        words("priority", PRIORITIES),
        "task",
        ("created_at", admin.DateFieldListFilter),
    )
    search_fields = ("number",)
    search_help_text = "An id, a number, or a part of the title or of the task's slug."
    ordering = ("-created_at", "-id")
    fields = (
        "id", "number", "title", "of", "version", "planned", "state", "reason_code", "waiting_for", "pausing",
        "paused_from", "parts", "queue", "priority", "available_at", "agent", "team", "environment", "labels", "owner",
        "worker", "incarnation", "token", "lease_until", "attempt", "retries", "losses", "environment_failures",
        "progress", "message", "last_seq",
        "last_line", "revision", "above", "parent_key", "depth", "outlives_parent", "lineage", "run", "rerun", "created_at",
        "started_at", "finished_at", "changed_at", "idempotency_by", "idempotency_key", "inputs", "outputs", "errors",
    )  # fmt: skip
    readonly_fields = ("of", "version", "planned", "parts", "above", "rerun", "inputs", "outputs", "errors")
    actions = ("cancel",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Execution]:
        return Execution.objects.lean().select_related("task", "task_version__task").defer(*VERSION_BULKY)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Execution], search_term: str
    ) -> tuple[QuerySet[Execution], bool]:
        term = search_term.strip()
        return (cast(ExecutionQuerySet, queryset).matching(term) if term else queryset), False

    def view_on_site(self, execution: Execution) -> str:
        return f"/executions/{execution.pk}/"

    @admin.display(description="task")
    def of(self, execution: Execution) -> str:
        return link_to(execution.task)

    def version(self, execution: Execution) -> str:
        return link_to(execution.task_version)

    @admin.display(description="plan")
    def planned(self, execution: Execution) -> str:
        return link_to(execution.plan)

    @admin.display(description="parent")
    def above(self, execution: Execution) -> str:
        return link_to(execution.parent)

    @admin.display(description="rerun of")
    def rerun(self, execution: Execution) -> str:
        return link_to(execution.rerun_of)

    @admin.display(description="what belongs to it")
    def parts(self, execution: Execution) -> str:
        kinds = {"Events": Event, "Log": LogChunk, "Attempts": Attempt, "Steps": Step, "Questions": Question,
                 "Waits": Wait, "Signals": Signal}  # fmt: skip
        links = ((list_of(kind, name, execution__id__exact=execution.pk),) for name, kind in kinds.items())
        return format_html_join(" · ", "{}", links)

    @admin.display(description="input")
    def inputs(self, execution: Execution) -> str:
        return stored(execution.input)

    @admin.display(description="output")
    def outputs(self, execution: Execution) -> str:
        return stored(execution.output)

    @admin.display(description="error")
    def errors(self, execution: Execution) -> str:
        return stored(execution.error)

    @admin.action(description="Cancel the selected executions", permissions=["admin"])
    def cancel(self, request: HttpRequest, executions: QuerySet[Execution]) -> None:
        principal = access.principal_of(request.user)
        assert principal is not None
        self.do_each(
            request,
            executions.order_by().values_list("pk", flat=True)[:MOST_AT_ONCE],
            verb=partial(
                transitions.cancel, now=timezone.now(), actor=principal.actor, reason="cancelled in the admin"
            ),
            done="told to stop",
            refused=Refused,
        )


class OfExecution(Looks):
    """Rows that belong to an execution: found by what finds it."""

    search_fields = ("execution__number",)
    search_help_text = ExecutionAdmin.search_help_text
    ordering: ClassVar[Any] = ("-id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("execution").defer(*OF_EXECUTION_BULKY)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        found = Execution.objects.matching(term).order_by().values("pk")
        return (queryset.filter(execution__in=found) if term else queryset), False

    @admin.display(description="execution")
    def of(self, part: Any) -> str:
        return link_to(part.execution)


@admin.register(Event)
class EventAdmin(OfExecution):
    list_display = ("id", "execution", "seq", "kind", "at", "actor", "reason")
    list_filter = (words("kind", tuple(KINDS)),)
    fields = ("of", "seq", "kind", "at", "actor", "reason", "told", "hash")
    readonly_fields = ("of", "told")

    @admin.display(description="data")
    def told(self, event: Event) -> str:
        return stored(event.data)


@admin.register(LogChunk)
class LogChunkAdmin(OfExecution):
    list_display = ("id", "execution", "attempt", "first", "last")
    fields = ("of", "attempt", "first", "last", "decoded")
    readonly_fields = ("of", "decoded")

    def get_queryset(self, request: HttpRequest) -> QuerySet[LogChunk]:
        return super().get_queryset(request).defer("body", *OF_EXECUTION_BULKY)

    @admin.display(description="lines")
    def decoded(self, chunk: LogChunk) -> str:
        return pre("\n".join(f"{line.n}  {line.at:%H:%M:%S.%f}  {line.stream}  {line.text}" for line in chunk.lines()))


@admin.register(Attempt)
class AttemptAdmin(OfExecution):
    list_display = ("id", "execution", "number", "worker", "method", "driver", "claimed_at", "finished_at", "outcome")
    list_filter = (words("outcome", OUTCOMES), ("claimed_at", admin.DateFieldListFilter))
    fields = (
        "of", "number", "token", "worker", "incarnation", "method", "driver", "sandbox", "choice", "claimed_at",
        "started_at", "finished_at", "outcome", "errors",
    )  # fmt: skip
    readonly_fields = ("of", "errors")

    @admin.display(description="error")
    def errors(self, attempt: Attempt) -> str:
        return stored(attempt.error)


@admin.register(Step)
class StepAdmin(OfExecution):
    list_display = ("id", "execution", "kind", "key", "occurrence", "attempt", "started_at", "finished_at")
    list_filter = ("kind",)
    fields = (
        "of", "kind", "key", "occurrence", "attempt", "copied", "input_hash", "recorded", "started_at", "finished_at",
    )  # fmt: skip
    readonly_fields = ("of", "recorded")

    @admin.display(description="value")
    def recorded(self, step: Step) -> str:
        return stored(step.value)


@admin.register(Question)
class QuestionAdmin(OfExecution):
    list_display = ("prompt", "execution", "kind", "state", "asked_at", "deadline", "answered_by", "answered_at")
    list_filter = ("state", words("kind", QUESTION_KINDS))
    date_hierarchy = "asked_at"
    ordering = ("-asked_at", "-id")
    fields = (
        "id", "of", "key", "occurrence", "attempt", "prompt", "kind", "choices", "shape", "recommended", "deadline",
        "otherwise", "state", "answered", "note", "answered_by", "answered_at", "asked_at",
    )  # fmt: skip
    readonly_fields = ("of", "choices", "shape", "otherwise", "answered")

    @admin.display(description="options")
    def choices(self, question: Question) -> str:
        return pretty(question.options)

    @admin.display(description="schema")
    def shape(self, question: Question) -> str:
        return pretty(question.schema)

    @admin.display(description="default")
    def otherwise(self, question: Question) -> str:
        return stored(question.default)

    @admin.display(description="answer")
    def answered(self, question: Question) -> str:
        return stored(question.answer)


@admin.register(Wait)
class WaitAdmin(OfExecution):
    list_display = ("id", "execution", "kind", "key", "occurrence", "name", "due_at", "started_at", "finished_at")
    list_filter = (words("kind", ("time", "children", "signal")),)
    fields = (
        "of", "kind", "key", "occurrence", "attempt", "name", "due_at", "gathers", "fail_fast", "input_hash", "got",
        "started_at", "finished_at",
    )  # fmt: skip
    readonly_fields = ("of", "got")

    @admin.display(description="value")
    def got(self, wait: Wait) -> str:
        return pretty(wait.value)


@admin.register(Signal)
class SignalAdmin(OfExecution):
    list_display = ("id", "execution", "name", "key", "sent_by", "sent_at")
    fields = ("of", "name", "key", "got", "sent_by", "sent_at", "taken_by")
    readonly_fields = ("of", "got")

    @admin.display(description="value")
    def got(self, signal: Signal) -> str:
        return pretty(signal.value)


@admin.register(Firing)
class FiringAdmin(OfExecution):
    list_display = ("id", "schedule", "fire_at", "fired_at", "execution", "refused")
    list_select_related = ("schedule",)
    fields = ("schedule", "fire_at", "fired_at", "of", "refused")
    readonly_fields = ("of",)


@admin.register(Worker)
class WorkerAdmin(Looks):
    list_display = ("name", "state", "living", "host", "pid", "slots", "serves", "sandbox", "started_at", "seen_at")
    list_filter = ("state",)
    search_fields = ("name", "host")
    ordering = ("name",)
    fields = (
        "name", "state", "living", "host", "pid", "incarnation", "slots", "serves", "labels", "can_run", "sandbox",
        "sandbox_problem", "started_at", "seen_at",
    )  # fmt: skip
    readonly_fields = ("living", "serves", "can_run")

    @admin.display(boolean=True)
    def living(self, worker: Worker) -> bool:
        return worker.is_living

    @admin.display(description="queues")
    def serves(self, worker: Worker) -> str:
        return ", ".join(worker.queues)

    @admin.display(description="offers")
    def can_run(self, worker: Worker) -> str:
        return ", ".join(worker.offers)


def stored(text: str | None) -> str:
    """A value that is kept as canonical text, laid out for reading."""
    return "–" if text is None else pretty(json.loads(text))
