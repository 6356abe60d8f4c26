"""What a process of the house itself says about it: its tasks are made, its executions are asked about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from executions import clauses, transitions
from executions.history.verifying import Verification
from tasks import manifest
from tasks.models import Task

SOON = {"max_retries": 5, "retry_interval": 0.2, "backoff_multiplier": 1, "jitter": 0}
SCRIPT = """import runboard, time
def part(number):
    time.sleep(0.05)
    return number
@runboard.task
def main():
    return sum(runboard.step(f"part-{number}", part, number) for number in (1, 2, 3))
"""
HANDLERS = ("plain", "steps", "flaky", "asks", "sleeps", "parent", "long", "poison")


def tasks(_: Any) -> None:
    """Make the tasks of `actions`, chaos-plain and its like, and one script."""
    documents: list[dict[str, Any]] = [
        {"slug": f"chaos-{name}", "kind": "action", "handler": f"chaos.{name}", "retry": SOON} for name in HANDLERS
    ]
    documents.append({"slug": "chaos-script", "kind": "script", "runtime": "python", "source": SCRIPT, "retry": SOON})
    for document in documents:
        manifest.define(document, now=timezone.now(), by="chaos")


def judged(accepted: list[str]) -> dict[str, Any]:
    """Breaches of the promise by these executions and their children, and how each of them ended."""
    ids = clauses.as_ids(accepted)
    everyone = [*ids, *clauses.births(ids)]
    ends = {str(pk): end for pk, end in clauses.ends(everyone).items()}
    return {
        "breaches": [
            *([breach.clause, breach.execution, breach.found] for breach in clauses.breaches(everyone)),
            *(["P11", found.execution, found.message] for found in Verification().findings()),
        ],
        "ends": ends,
        "states": Counter(end["state"] for end in ends.values()),
    }


def unfinished(accepted: list[str]) -> dict[str, str]:
    ids = clauses.as_ids(accepted)
    return {str(pk): state for pk, state in clauses.unfinished([*ids, *clauses.births(ids)]).items()}


def submit(asked: dict[str, Any]) -> str:
    """Submit one execution in this process, through the door: {task, input, key}."""
    task = Task.objects.get(slug=asked["task"])
    made = transitions.submit(
        task, input=asked["input"], now=timezone.now(), actor="chaos", idempotency_key=asked["key"]
    )
    return str(made.execution.pk)


def attempts(accepted: list[str]) -> list[dict[str, Any]]:
    """Every attempt of these executions and their children, as plain values."""
    ids = clauses.as_ids(accepted)
    return clauses.attempts([*ids, *clauses.births(ids)])


def session(_: Any) -> str:
    """The key of a session in which the admin is signed in."""
    client = Client()
    client.force_login(User.objects.get(username="admin"))
    return client.cookies["sessionid"].value


ASKED: dict[str, Callable[[Any], Any]] = {
    "tasks": tasks, "judged": judged, "unfinished": unfinished, "submit": submit, "attempts": attempts, "session": session,
}  # fmt: skip
