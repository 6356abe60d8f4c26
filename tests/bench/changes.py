"""Changes cards of a house at a rate, through the door; says when each revision was committed (`sockets` starts it)."""

from __future__ import annotations

import json
import time

from django.utils import timezone

from executions import transitions
from executions.models import Execution
from tasks.models import Queue, Task


def main(rate: int, seconds: int, cards: int) -> None:
    Queue.objects.get_or_create(name="bench")
    task = Task.objects.get(slug="log-fountain")
    claims = [held(task) for _ in range(cards)]
    committed = {}
    began = time.monotonic()
    for number in range(rate * seconds):
        time.sleep(max(0.0, began + number / rate - time.monotonic()))
        claim = claims[number % cards]
        transitions.progress(claim, fraction=None, message=f"line {number}", now=timezone.now())
        at = time.time()
        revision = Execution.objects.values_list("revision", flat=True).get(pk=claim.execution_id)
        committed[f"execution-{claim.execution_id}@{revision}"] = at
    print(json.dumps(committed))


def held(task: Task) -> transitions.Claim:
    """A running execution in a queue that no worker of the house serves."""
    made = transitions.submit(task, input={"lines": 1}, now=timezone.now(), actor="bench", queue="bench").execution
    [claim] = transitions.claim("bench", incarnation=1, queues=["bench"], offers=[made.requires], now=timezone.now())
    now = timezone.now()
    transitions.start(claim, began=transitions.Began("", "", "", "", now), now=now)
    return claim
