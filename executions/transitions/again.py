"""rerun: what has ended is final, so trying it again is a new execution of the same lineage.

Guarantee: the old record is left as it is. The new one gets the next run number of its lineage; what it takes over (steps,
answers, waits) is copied in the transaction that makes it, and never run again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import F, Max

from executions import answers, events, families
from executions.models import Execution, Question, Step, Wait, new_id, next_numbers, touched
from executions.states import FINAL
from executions.transitions.moving import check_words, refuse, verb
from executions.transitions.submitting import bear, newborn, replayed
from tasks.models import TaskVersion
from tasks.schema import Invalid, Problem
from tasks.sdk.canonical import encode


@dataclass(frozen=True, slots=True)
class Again:
    """How it is tried again. `input` None keeps the old one.

    Kept is nothing, or everything that was recorded (`resume`), or what was recorded before a step (`from_step`, a key, and
    its occurrence) or before the answer of a question (`question`, which is then answered with `answer`). What is kept
    belongs to the version that recorded it, so that version runs unless `version` names another; else the newest runs.
    """

    input: Any = None
    version: int | None = None
    resume: bool = False
    from_step: str | None = None
    occurrence: int = 0
    question: UUID | None = None
    answer: Any = None

    @property
    def how(self) -> str:
        """In a word: fork, resume, rerun (with edits) or retry."""
        if self.question is not None:
            return "fork"
        if self.resume or self.from_step is not None:
            return "resume"
        return "retry" if self.input is None and self.version is None else "rerun"


@verb
def rerun(
    pk: UUID, *, again: Again, now: datetime, actor: str, owner: User | None = None, idempotency_key: str | None = None
) -> Execution:
    """Make the next run of an execution that has ended. A key used before for the same request returns what that one made.

    Raises Refused while it is under way, or where the key stands for a different request; Invalid where the input, the step
    or the answer cannot be.
    """
    check_words(input=again.input, answer=again.answer)
    old = Execution.objects.select_related("task", "task__latest", "task_version").get(pk=pk)
    list(Execution.objects.filter(lineage=old.lineage).order_by("pk").select_for_update().values_list("pk"))
    if old.state not in FINAL:
        refuse(old, "retry")
    digest = _digest(old, again)
    if idempotency_key and (earlier := replayed(actor, idempotency_key, digest)):
        return earlier
    until = _until(old, again)
    run = Execution.objects.filter(lineage=old.lineage).aggregate(Max("run"))["run__max"] + 1
    wish = {
        "queue": old.queue, "priority": old.priority, "title": old.title, "agent": old.agent, "team": old.team,
        "environment": old.environment, "labels": old.labels,
    }  # fmt: skip
    new = newborn(old.task, input=json.loads(old.input) if again.input is None else again.input, now=now, wish=wish,
                  version=_version(old, again), owner=owner or old.owner, plan=old.plan, lineage=old.lineage, run=run,
                  rerun_of=old, number=next_numbers()[0])  # fmt: skip
    if idempotency_key:
        new.idempotency_by, new.idempotency_key, new.request_digest = actor, idempotency_key, digest
    told = {"rerun_of": str(old.pk), "run": run, "how": again.how, "from_step": again.from_step}
    try:
        with transaction.atomic():
            bear([new], now=now, actor=actor, **told)
    except IntegrityError:  # the same key, at the same moment, for another execution
        if idempotency_key and (earlier := replayed(actor, idempotency_key, digest)):
            return earlier
        raise
    if until is not None:
        _keep(old, new, until, again, now=now, actor=actor)
    _announce_earlier(new)
    return new


def _announce_earlier(new: Execution) -> None:
    """Earlier runs leave the board, and their pages name the new one: all that shows them has a next revision to fetch."""
    earlier = Execution.objects.filter(lineage=new.lineage).exclude(pk=new.pk)
    earlier.update(**touched())
    for run in earlier.lean():
        events.announce(run, kind="rerun")


def _digest(old: Execution, again: Again) -> str:
    """What makes two requests the same request."""
    told = {**asdict(again), "question": again.question and str(again.question)}
    return hashlib.sha256(encode([str(old.pk), told])).hexdigest()


def _version(old: Execution, again: Again) -> TaskVersion | None:
    if again.version is not None:
        found = TaskVersion.objects.filter(task=old.task, number=again.version).first()
        if found is None:
            raise Invalid("That version cannot run.", [Problem("/version", f"{old.task.slug} has no such version")])
        return found
    return old.task_version if again.how in ("fork", "resume") else None


def _until(old: Execution, again: Again) -> datetime | None:
    """The moment before which everything recorded is kept; None keeps nothing."""
    if again.question is not None:
        question = Question.objects.filter(execution=old, pk=again.question, state=Question.State.ANSWERED).first()
        if question is None:
            raise Invalid(
                "That answer cannot be changed.", [Problem("/question", f"{old} has no such answered question")]
            )
        if wrong := answers.wrong_with(question, again.answer):
            told = [Problem(problem.pointer.replace("/value", "/answer", 1), problem.message) for problem in wrong]
            raise Invalid("That is no answer to this question.", told)
        return question.answered_at
    if again.from_step is not None:
        step = Step.objects.filter(execution=old, kind=Step.Kind.STEP, key=again.from_step, occurrence=again.occurrence)
        found = step.values_list("finished_at", flat=True).first()
        if found is None:
            raise Invalid("It cannot go on from there.", [Problem("/from_step", f"{old} has recorded no such step")])
        return found
    return old.finished_at if again.resume else None


def _keep(old: Execution, new: Execution, until: datetime, again: Again, *, now: datetime, actor: str) -> None:
    """Copy what was recorded before `until` (all of it for a resume), and the answer that a fork gives. Where a failed child
    is what it ended by, the call is made again, or the new run would end by it at once."""
    everything = again.resume
    steps = Step.objects.filter(execution=old, **({} if everything else {"finished_at__lt": until}))
    waits = Wait.objects.filter(execution=old, finished_at__isnull=False)
    questions = Question.objects.filter(execution=old, state=Question.State.ANSWERED)
    if not everything:
        waits, questions = waits.filter(finished_at__lt=until), questions.filter(answered_at__lt=until)
    waits = waits.exclude(kind="children", value=None).exclude(kind="signal", value=None)
    waits = waits.exclude(kind="time", due_at__gt=F("finished_at"))  # withdrawn: it never slept to the end
    if _failed_by_child(old):
        waits = waits.exclude(pk__in=families.failed_calls(old))
    Step.objects.bulk_create([_copy(step, new, copied=True) for step in steps])
    Wait.objects.bulk_create([_copy(wait, new) for wait in waits])
    Question.objects.bulk_create([_copy(question, new, id=new_id()) for question in questions])
    if again.question is not None:
        question = Question.objects.get(pk=again.question)
        _copy(question, new, id=new_id(), answer=encode(again.answer).decode(), answered_by=actor, answered_at=now,
              note="").save(force_insert=True)  # fmt: skip


def _failed_by_child(old: Execution) -> bool:
    error = json.loads(old.error) if old.error else {}
    return str(error.get("type", "")).rpartition(".")[2] == "ChildFailed"


def _copy(row: Any, new: Execution, **changes: Any) -> Any:
    """The same row for another execution; attempt 0 says that none of its attempts made it."""
    fields = {
        field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields if not field.primary_key
    }
    return type(row)(**{**fields, "execution_id": new.pk, "attempt": 0, **changes})
