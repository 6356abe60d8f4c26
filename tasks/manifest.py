"""A task as JSON ⇄ a task and its immutable versions: the shape of the contract, read strictly.

Unknown members are refused by name; members whose feature is not built yet are refused by saying so, unless they hold the
value that asks for nothing. Nothing is written unless everything fits.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.text import slugify

from tasks import demo, planning
from tasks.models import PRIORITIES, Queue, Task, TaskVersion
from tasks.policy import Concurrency, Level, Limits, Rate, RetryPolicy, Security, Timeouts, Unacceptable
from tasks.schema import Invalid, Problem, schema_problem

T = TypeVar("T")

DEMO = Path(demo.__file__).parent
SOURCES = {"python": "main.py", "shell": "main.sh"}
RUNTIMES = {"python", "shell"}
LATER_RUNTIMES = {"node", "java"}
LATER_KINDS = {"container", "function", "flow", "agent"}
LATER_MEMBERS = (
    "image", "command", "url", "steps", "dependencies", "secrets",
    "on_failure", "on_timeout", "on_no_answer",
)  # fmt: skip
RESERVED_VARIABLES = {"TASK_ID", "EXECUTION_ID", "WORKFLOW_ID"}
LONGEST_SOURCE = 1024 * 1024
TEXTS = {"title": 200, "description": 20_000, "environment": 50, "agent": 100, "team": 100}
NAMES = {"labels": 100, "touches": 200}
POLICIES = ("retry", "limits", "timeouts", "concurrency", "rate")
MEMBERS = frozenset(
    {
        "slug", "kind", "runtime", "source", "handler", "input_schema", "output_schema", "queue", "priority",
        "security", "environment_variables", *POLICIES, *TEXTS, *NAMES, *LATER_MEMBERS,
    }
)  # fmt: skip


@transaction.atomic
def define(document: Mapping[str, Any], *, now: datetime, by: str) -> TaskVersion:
    """Make a task and its version 1. Raises Invalid, also where the slug is taken."""
    fields = read(document)
    slug = fields.pop("slug")
    try:
        with transaction.atomic():
            task = Task.objects.create(
                slug=slug, title=fields.pop("title") or slug, description=fields.pop("description"), created_at=now
            )
    except IntegrityError as error:
        message = f"there is a task “{slug}” already; add a version to it instead"
        raise Invalid(message, [Problem("/slug", "is taken: " + message)]) from error
    return _add(task, fields, now=now, by=by)


@transaction.atomic
def add_version(task: Task, document: Mapping[str, Any], *, now: datetime, by: str) -> TaskVersion:
    """Give a task its next version; executions under way keep theirs."""
    fields = read({"slug": task.slug, "title": task.title, "description": task.description, **document})
    if fields.pop("slug") != task.slug:
        raise Invalid("a version cannot rename its task", [Problem("/slug", f"must be “{task.slug}” or left out")])
    locked = Task.objects.select_for_update().get(pk=task.pk)
    locked.title, locked.description = fields.pop("title") or task.slug, fields.pop("description")
    return _add(locked, fields, now=now, by=by)


def amend(
    task: Task, *, now: datetime, title: str | None = None, description: str | None = None, archived: bool | None = None
) -> None:
    """Change what a task is called, archive it (it leaves the library and runs no more), or bring it back."""
    said = {"title": title, "description": description}
    changes: dict[str, Any] = {name: text for name, text in said.items() if text is not None}
    if archived is not None:
        changes["archived_at"] = now if archived else None
    Task.objects.filter(pk=task.pk).update(**changes)


def document(version: TaskVersion) -> dict[str, Any]:
    """A version as the JSON that would define it again."""
    task = version.task
    members = sorted(MEMBERS - set(LATER_MEMBERS) - {"slug", "title", "description"})
    return {
        "slug": task.slug,
        "title": task.title,
        "description": task.description,
        **{name: getattr(version, name) for name in members},
    }


def load_demo(*, now: datetime | None = None) -> list[Task]:
    """Define the demo tasks that are missing or changed, and plan each when it is new and no part of another."""
    now = now or timezone.now()
    parts = [_load(DEMO / folder, now=now, plans=False) for folder in demo.PARTS]
    return parts + [_load(DEMO / folder, now=now, plans=True) for folder in demo.ORDER]


def read(document: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a task and a version, checked; raises Invalid with everything that is wrong."""
    found = _Problems()
    if not isinstance(document, Mapping):
        raise Invalid("a task is a JSON object", [Problem("", "must be an object")])
    for name in sorted(set(document) - MEMBERS):
        found.add(f"/{name}", "is not a known member of a task")
    for name in LATER_MEMBERS:
        if not _asks_nothing(document.get(name)):
            found.add(f"/{name}", "is not built yet in this version of Runboard")
    fields = {
        **{name: found.text(document, name, most) for name, most in TEXTS.items()},
        **{name: found.words(document, name, most) for name, most in NAMES.items()},
        "slug": found.slug(document, "slug", required=True),
        "queue": found.slug(document, "queue") or "default",
        "priority": found.one_of(document, "priority", PRIORITIES, "normal"),
        "input_schema": found.schema(document, "input_schema"),
        "output_schema": found.schema(document, "output_schema"),
        "environment_variables": found.variables(document),
        **_policies(document, found),
        **_what_runs(document, found),
    }
    found.raise_any()
    return fields


def _policies(document: Mapping[str, Any], found: _Problems) -> dict[str, Any]:
    """The policies as they were given, once each of them reads; filtered networks come later."""
    default = Level.LOW if document.get("kind") == "action" else Level.MEDIUM
    found.policy(lambda: RetryPolicy.read(document.get("retry")))
    limits = found.policy(lambda: Limits.read(document.get("limits")))
    found.policy(lambda: Timeouts.read(document.get("timeouts")))
    found.policy(lambda: Concurrency.read(document.get("concurrency")))
    found.policy(lambda: Rate.read(document.get("rate")))
    security = found.policy(lambda: Security.read(document.get("security"), default=default))
    if limits and limits.cpu_max is not None:
        found.add("/limits/cpu_max", "is not built yet in this version of Runboard")
    if security and (security.network or security.permissions):
        name = "network" if security.network else "permissions"
        found.add(f"/security/{name}", "is not built yet in this version of Runboard")
    if security and document.get("kind") == "action" and security.level != Level.LOW:
        found.add("/security/level", "an action runs inside the house, so its level is LOW; use a script for more")
    given = {name: dict(document.get(name) or {}) for name in POLICIES if _is_object(document, name)}
    return {**given, "security": {"level": str(security.level)} if security else {}}


def _what_runs(document: Mapping[str, Any], found: _Problems) -> dict[str, str]:
    """`kind`, and what that kind needs: a runtime with its source, or a handler."""
    kind = found.one_of(document, "kind", ("script", "action", *sorted(LATER_KINDS)), "script")
    if kind in LATER_KINDS:
        found.add("/kind", f"“{kind}” is not built yet in this version of Runboard")
    if kind == "action":
        _refuse_members(document, found, kind, "runtime", "source")
        return {"kind": kind, "runtime": "", "source": "", "handler": found.required(document, "handler", 200)}
    _refuse_members(document, found, kind, "handler")
    runtime = found.one_of(document, "runtime", (*sorted(RUNTIMES), *sorted(LATER_RUNTIMES)), "python")
    if runtime in LATER_RUNTIMES:
        found.add("/runtime", f"“{runtime}” is not built yet in this version of Runboard")
    source = found.required(document, "source", LONGEST_SOURCE) if kind == "script" else ""
    return {"kind": kind, "runtime": runtime, "source": source, "handler": ""}


def _refuse_members(document: Mapping[str, Any], found: _Problems, kind: str, *names: str) -> None:
    for name in names:
        if not _asks_nothing(document.get(name)):
            found.add(f"/{name}", f"does not belong to a task of kind {kind}")


def _add(task: Task, fields: dict[str, Any], *, now: datetime, by: str) -> TaskVersion:
    Queue.objects.get_or_create(name=fields["queue"])
    number = (task.versions.values_list("number", flat=True).first() or 0) + 1
    version = TaskVersion.objects.create(task=task, number=number, created_at=now, created_by=by, **fields)
    task.latest = version
    task.save(update_fields=["latest", "title", "description"])
    return version


@transaction.atomic
def _load(folder: Path, *, now: datetime, plans: bool) -> Task:
    given = json.loads((folder / "task.json").read_text())
    if given["kind"] == "script":
        given["source"] = (folder / SOURCES[given["runtime"]]).read_text()
    known = Task.objects.select_related("latest").filter(slug=given["slug"]).first()
    if known is None:
        task = define(given, now=now, by="system").task
        if plans:
            planning.plan(task, now=now, input=None)
        return task
    if known.latest and document(known.latest) != document(TaskVersion(task=known, **_version_fields(given))):
        add_version(known, given, now=now, by="system")
    return known


def _version_fields(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in read(given).items() if name not in ("slug", "title", "description")}


def _is_object(document: Mapping[str, Any], name: str) -> bool:
    return isinstance(document.get(name) or {}, Mapping)


def _asks_nothing(value: Any) -> bool:
    return value in (None, "", [], {}) or (isinstance(value, Mapping) and all(map(_asks_nothing, value.values())))


class _Problems:
    """Collects everything wrong with one document, so that its author mends it in one go."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(self, pointer: str, message: str) -> None:
        self.found.append(Problem(pointer, message))

    def raise_any(self) -> None:
        if self.found:
            first = self.found[0]
            raise Invalid(f"This is not a task Runboard can keep: {first.pointer} {first.message}.", self.found)

    def text(self, document: Mapping[str, Any], name: str, most: int) -> str:
        value = document.get(name) or ""
        if not isinstance(value, str):
            self.add(f"/{name}", "must be a text")
            return ""
        if len(value) > most:
            self.add(f"/{name}", f"must have at most {most} characters")
        return value

    def required(self, document: Mapping[str, Any], name: str, most: int) -> str:
        value = self.text(document, name, most)
        if not value and isinstance(document.get(name) or "", str):
            self.add(f"/{name}", "is required")
        return value

    def slug(self, document: Mapping[str, Any], name: str, *, required: bool = False) -> str:
        value = self.required(document, name, 100) if required else self.text(document, name, 100)
        if value and slugify(value) != value:
            self.add(f"/{name}", "must be lower-case letters, digits and hyphens, such as “summarise-csv”")
        return value

    def one_of(self, document: Mapping[str, Any], name: str, known: tuple[str, ...], default: str) -> str:
        value = document.get(name) or default
        if value not in known:
            self.add(f"/{name}", f"must be one of {', '.join(known)}")
            return default
        return str(value)

    def words(self, document: Mapping[str, Any], name: str, most: int) -> list[str]:
        value = document.get(name) or []
        if not isinstance(value, list) or not all(isinstance(word, str) and 0 < len(word) <= most for word in value):
            self.add(f"/{name}", f"must be a list of words of at most {most} characters")
            return []
        return list(dict.fromkeys(value))

    def schema(self, document: Mapping[str, Any], name: str) -> dict[str, Any]:
        value = document.get(name)
        if value is None:
            return {}
        if problem := schema_problem(value):
            self.add(f"/{name}", problem)
            return {}
        return dict(value)

    def variables(self, document: Mapping[str, Any]) -> dict[str, str]:
        value = document.get("environment_variables") or {}
        if not isinstance(value, Mapping) or not all(isinstance(text, str) for text in value.values()):
            self.add("/environment_variables", "must be an object of texts")
            return {}
        for name in value:
            if not name.isidentifier() or not name.isascii():
                self.add(f"/environment_variables/{name}", "is not the name of a variable")
            if name in RESERVED_VARIABLES:
                self.add(f"/environment_variables/{name}", "is set by Runboard and cannot be changed")
        return dict(value)

    def policy(self, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except Unacceptable as problem:
            self.add(problem.pointer, problem.message)
            return None
