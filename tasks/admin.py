"""The admin's look at what may run. It looks; what it does, it does by the verbs that everybody uses."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.admin.views.main import ERROR_FLAG
from django.core.paginator import Paginator
from django.db import DataError, transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString

from tasks import access
from tasks.models import PRIORITIES, Plan, Queue, Schedule, Task, TaskVersion, Token

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin

MOST_COUNTED = 10_000
LONGEST_SHOWN = 100_000
MOST_TOLD = 5


class CountsToALimit(Paginator):  # type: ignore[type-arg]
    """Ten thousand rows are enough to leaf through, and a table of millions is not counted for a page of fifty."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by()[:MOST_COUNTED].count())


class Looks(ModelAdmin):
    """A page that shows and changes nothing, to admins."""

    paginator = CountsToALimit
    show_full_result_count = False
    list_per_page = 50

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list; a number in the address that no row can have is told like any other filter that cannot be."""
        try:
            with transaction.atomic():
                return super().changelist_view(request, extra_context)
        except (OverflowError, DataError):
            return redirect(f"{request.path}?{ERROR_FLAG}=1")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        principal = access.principal_of(request.user)
        return principal is not None and principal.may("admin")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_admin_permission(self, request: HttpRequest) -> bool:
        """What actions ask for."""
        return self.has_view_permission(request)

    def do_each(
        self,
        request: HttpRequest,
        ids: Iterable[Any],
        *,
        verb: Callable[[Any], object],
        done: str,
        refused: type[Exception],
    ) -> None:
        """Call a verb for each of some rows; tell how many it was done for, and why it was refused for the others."""
        count, why = 0, []
        for pk in ids:
            try:
                verb(pk)
                count += 1
            except refused as error:
                why.append(str(error))
        if count:
            self.message_user(request, f"{count} {done}.", messages.SUCCESS)
        if why:
            told = " ".join(why[:MOST_TOLD]) + (" …" if len(why) > MOST_TOLD else "")
            self.message_user(request, f"{len(why)} refused: {told}", messages.WARNING)


def words(parameter: str, known: Collection[str]) -> type[admin.SimpleListFilter]:
    """A filter by a column that holds one of some words; the table is not asked which there are."""

    class Words(admin.SimpleListFilter):
        title = parameter
        parameter_name = parameter

        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
            return [(str(word), str(word).replace("_", " ")) for word in known]

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            return queryset.filter(**{parameter: self.value()}) if self.value() else queryset

    return Words


def link_to(found: Model | None) -> str:
    """A link to a row's own page, or a dash."""
    if found is None:
        return "–"
    meta = found._meta
    return format_html(
        '<a href="{}">{}</a>', reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[found.pk]), found
    )


def list_of(model: type[Model], told: str, **by: Any) -> SafeString:
    """A link to the rows of a table that belong to something."""
    meta = model._meta
    url = reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist")
    return format_html('<a href="{}?{}">{}</a>', url, urlencode(by), told)


def pre(text: str) -> SafeString:
    """A long text, shortened where a page could not bear it."""
    shown = text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}\n… {len(text):,} characters in all"
    return format_html("<pre>{}</pre>", shown)


def pretty(value: Any) -> SafeString:
    return pre(json.dumps(value, indent=2, ensure_ascii=False))


@admin.register(Queue)
class QueueAdmin(Looks):
    list_display = ("name", "description", "limit", "paused_at", "paused_by", "created_at")
    search_fields = ("name",)
    fields = ("name", "description", "limit", "paused_at", "paused_by")
    readonly_fields = ("limit", "paused_at", "paused_by")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)


@admin.register(Task)
class TaskAdmin(Looks):
    list_display = ("slug", "title", "version", "queue", "archived_at", "created_at")
    list_select_related = ("latest",)
    list_filter = (("archived_at", admin.EmptyFieldListFilter),)
    search_fields = ("slug", "title")
    ordering = ("slug",)
    fields = ("slug", "title", "description", "newest", "versions", "plans", "created_at", "archived_at")
    readonly_fields = ("newest", "versions", "plans")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Task]:
        return super().get_queryset(request).defer("latest__source", "latest__input_schema", "latest__output_schema")

    def version(self, task: Task) -> int | None:
        return task.latest.number if task.latest else None

    def queue(self, task: Task) -> str:
        return task.latest.queue if task.latest else ""

    def newest(self, task: Task) -> str:
        return link_to(task.latest)

    def versions(self, task: Task) -> str:
        return list_of(TaskVersion, "All versions", task__id__exact=task.pk)

    def plans(self, task: Task) -> str:
        return list_of(Plan, "All plans", task__id__exact=task.pk)


@admin.register(TaskVersion)
class TaskVersionAdmin(Looks):
    list_display = ("task", "number", "kind", "runtime", "queue", "priority", "created_at", "created_by")
    list_select_related = ("task",)
    list_filter = (words("kind", ("script", "action")), words("priority", PRIORITIES))
    search_fields = ("task__slug", "task__title", "handler")
    ordering = ("-id",)
    bulky = ("source", "input_schema", "output_schema", "environment_variables")
    plain = (
        "number", "kind", "runtime", "handler", "queue", "priority", "environment", "agent", "team", "labels", "touches",
        "retry", "limits", "timeouts", "concurrency", "rate", "security", "created_at", "created_by",
    )  # fmt: skip
    fields = ("of", *plain, "inputs", "outputs", "variables", "text")
    readonly_fields = ("of", "inputs", "outputs", "variables", "text")

    def get_queryset(self, request: HttpRequest) -> QuerySet[TaskVersion]:
        return super().get_queryset(request).defer(*self.bulky)

    @admin.display(description="task")
    def of(self, version: TaskVersion) -> str:
        return link_to(version.task)

    @admin.display(description="input schema")
    def inputs(self, version: TaskVersion) -> str:
        return pretty(version.input_schema)

    @admin.display(description="output schema")
    def outputs(self, version: TaskVersion) -> str:
        return pretty(version.output_schema)

    @admin.display(description="environment variables")
    def variables(self, version: TaskVersion) -> str:
        return pretty(version.environment_variables)

    @admin.display(description="source")
    def text(self, version: TaskVersion) -> str:
        return pre(version.source)


@admin.register(Plan)
class PlanAdmin(Looks):
    list_display = ("id", "name", "task", "state", "position", "planned_by", "created_at", "changed_at")
    list_select_related = ("task", "planned_by")
    list_filter = ("state",)
    search_fields = ("title", "task__slug", "task__title")
    date_hierarchy = "created_at"
    ordering = ("-id",)
    fields = ("of", "title", "note", "state", "position", "draft", "planned_by", "created_at", "changed_at", "version")
    readonly_fields = ("of", "draft")

    @admin.display(description="task")
    def of(self, plan: Plan) -> str:
        return link_to(plan.task)

    @admin.display(description="input")
    def draft(self, plan: Plan) -> str:
        return pretty(plan.input)


@admin.register(Schedule)
class ScheduleAdmin(Looks):
    list_display = ("name", "task", "cron", "every", "timezone", "missed", "next_at", "paused_at", "removed_at")
    list_select_related = ("task",)
    list_filter = (("removed_at", admin.EmptyFieldListFilter),)
    search_fields = ("name", "task__slug", "task__title")
    ordering = ("-id",)
    fields = (
        "name", "of", "given", "cron", "every", "timezone", "missed", "since", "next_at", "paused_at", "paused_by", "owner",
        "created_at", "created_by", "changed_at", "removed_at",
    )  # fmt: skip
    readonly_fields = ("of", "given")

    @admin.display(description="task")
    def of(self, schedule: Schedule) -> str:
        return link_to(schedule.task)

    @admin.display(description="input")
    def given(self, schedule: Schedule) -> str:
        return pretty(schedule.input)


@admin.register(Token)
class TokenAdmin(Looks):
    list_display = ("name", "user", "ends_with", "may", "created_at", "last_used_at", "expires_at", "revoked_at")
    list_select_related = ("user",)
    list_filter = (("revoked_at", admin.EmptyFieldListFilter),)
    search_fields = ("name", "user__username", "last4")
    ordering = ("-created_at",)
    fields = ("name", "user", "ends_with", "may", "created_at", "last_used_at", "expires_at", "revoked_at")
    actions = ("revoke",)

    @admin.display(description="ends with")
    def ends_with(self, token: Token) -> str:
        return f"…{token.last4}"

    @admin.display(description="scopes")
    def may(self, token: Token) -> str:
        return ", ".join(token.scopes)

    @admin.action(description="Revoke the selected tokens, for good", permissions=["admin"])
    def revoke(self, request: HttpRequest, tokens: QuerySet[Token]) -> None:
        count = access.revoke(tokens, now=timezone.now())
        self.message_user(request, f"{count} revoked: whoever sends them is refused from now on.", messages.SUCCESS)
