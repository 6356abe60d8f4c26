"""A task as JSON: what is kept, and what is refused by name."""

from typing import Any

import pytest
from django.utils import timezone

from tasks import manifest
from tasks.models import Plan, Queue, Task
from tasks.schema import Invalid
from tests.make import make_task

SCRIPT = {"slug": "greet", "title": "Greet", "kind": "script", "runtime": "python", "source": "print(1)"}


def refused(**changes: Any) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        manifest.read({**SCRIPT, **changes})
    return {problem.pointer: problem.message for problem in caught.value.problems}


@pytest.mark.django_db
def test_a_definition_is_a_task_with_its_first_version_and_its_queue() -> None:
    version = manifest.define({**SCRIPT, "queue": "gpu"}, now=timezone.now(), by="user:mira")
    assert (version.number, version.task.latest, version.requires) == (1, version, "python")
    assert Queue.objects.filter(name="gpu").exists()


@pytest.mark.django_db
def test_a_taken_slug_is_refused() -> None:
    make_task("greet")
    with pytest.raises(Invalid, match="already"):
        manifest.define(SCRIPT, now=timezone.now(), by="user:mira")


@pytest.mark.django_db
def test_the_next_version_leaves_the_first_alone() -> None:
    task = make_task("greet")
    second = manifest.add_version(task, {"kind": "script", "source": "print(2)"}, now=timezone.now(), by="user:mira")
    task.refresh_from_db()
    assert (second.number, task.latest) == (2, second)
    assert task.versions.get(number=1).source != "print(2)"


@pytest.mark.django_db
def test_what_is_exported_defines_the_same_again() -> None:
    version = manifest.define({**SCRIPT, "labels": ["a"], "limits": {"memory": "256Mi"}}, now=timezone.now(), by="x")
    assert manifest.read(manifest.document(version)) == manifest.read(
        {**SCRIPT, "labels": ["a"], "limits": {"memory": "256Mi"}}
    )


def test_unknown_members_are_refused_by_name() -> None:
    assert refused(colour="red", retry={"tries": 3}) == {
        "/colour": "is not a known member of a task",
        "/retry/tries": "is not a known member",
    }


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"kind": "flow", "source": ""}, "/kind"),
        ({"runtime": "java"}, "/runtime"),
        ({"dependencies": {"python": ["requests"]}}, "/dependencies"),
        ({"secrets": ["KEY"]}, "/secrets"),
        ({"security": {"network": ["example.org:443"]}}, "/security/network"),
        ({"limits": {"cpu_max": 1}}, "/limits/cpu_max"),
    ],
)
def test_what_is_not_built_yet_says_so(changes: dict[str, Any], pointer: str) -> None:
    assert "not built yet" in refused(**changes)[pointer]


def test_members_that_ask_for_nothing_are_accepted() -> None:
    manifest.read({**SCRIPT, "dependencies": {"python": [], "npm": []}, "secrets": [], "concurrency": None, "url": ""})


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"slug": "Not A Slug"}, "/slug"),
        ({"slug": ""}, "/slug"),
        ({"title": 7}, "/title"),
        ({"title": "x" * 201}, "/title"),
        ({"source": ""}, "/source"),
        ({"priority": "asap"}, "/priority"),
        ({"labels": "demo"}, "/labels"),
        ({"input_schema": {"type": "strange"}}, "/input_schema"),
        ({"input_schema": {"$ref": "http://127.0.0.1:9/schema"}}, "/input_schema"),
        ({"input_schema": {"$ref": "file:///etc/passwd"}}, "/input_schema"),
        ({"environment_variables": {"TASK_ID": "mine"}}, "/environment_variables/TASK_ID"),
        ({"environment_variables": {"A": 1}}, "/environment_variables"),
        ({"limits": {"memory": "lots"}}, "/limits/memory"),
        ({"limits": {"timeout_seconds": 0}}, "/limits/timeout_seconds"),
        ({"limits": {"pids": 1.5}}, "/limits/pids"),
        ({"retry": {"max_retries": True}}, "/retry/max_retries"),
        ({"retry": []}, "/retry"),
        ({"security": {"level": "TOP"}}, "/security/level"),
        (
            {"kind": "action", "runtime": "", "source": "", "handler": "a", "security": {"level": "HIGH"}},
            "/security/level",
        ),
        ({"kind": "action", "handler": ""}, "/handler"),
        ({"handler": "a.b"}, "/handler"),
    ],
)
def test_what_cannot_be_is_named(changes: dict[str, Any], pointer: str) -> None:
    assert pointer in refused(**changes)


@pytest.mark.django_db
def test_the_demo_is_planned_once() -> None:
    manifest.load_demo()
    planned = set(Plan.objects.standing().values_list("task__slug", flat=True))
    assert planned == {
        "summarise-csv",
        "release-assistant",
        "long-import",
        "flaky-gateway",
        "log-fountain",
        "order-processing",
        "onboarding",
    }
    parts = set(Task.objects.values_list("slug", flat=True)) - planned
    assert {slug.partition("-")[0] for slug in parts} == {"order", "onboarding"}
    manifest.load_demo()
    assert Plan.objects.count() == len(planned)
    assert {task.latest.number for task in Task.objects.all() if task.latest} == {1}
