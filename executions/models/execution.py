"""One run of a task, from submission to its end: the row is the truth; every change of its state is a verb of the door."""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection, Sequence
from contextlib import suppress

from django.conf import settings
from django.db import connection, models
from django.db.models import BooleanField, Count, F, Func, Max, Q, Value
from django.db.models.expressions import RawSQL
from django.db.models.functions import Left
from uuid_utils.compat import uuid7

from executions.models.clock import clock
from executions.states import CLAIMABLE, FINAL, HELD, LIVE, State, WaitingFor

HEAD_STARTS = {"urgent": 600.0, "high": 300.0, "normal": 0.0, "low": -300.0}  # seconds a priority is ahead in its queue
RESUMED_HEAD_START = 600.0
NUMBER = re.compile(r"(EX-)?([0-9]{1,18})", re.IGNORECASE)
BULKY = ("input", "output", "error")  # never read for a card
UNSEEN = ("task__description", "task_version__source", "task_version__input_schema", "task_version__output_schema")
OUTPUT_BEGINS = 120  # characters of an output that a card shows
READY = Q(state__in=sorted(CLAIMABLE), available_at=None)  # may be claimed at once
LATER = Q(state__in=sorted(CLAIMABLE), available_at__isnull=False)  # from its moment on
WAITS = Q(state=State.WAITING) | Q(state=State.PAUSED, paused_from=State.WAITING)


def new_id() -> uuid.UUID:
    """UUIDv7: ordered by time, so that new rows stand together in the index."""
    return uuid7()


class ExecutionQuerySet(models.QuerySet["Execution"]):
    def lean(self) -> ExecutionQuerySet:
        """Without the columns that may be megabytes."""
        return self.defer(*BULKY)

    def for_cards(self) -> ExecutionQuerySet:
        """What a card shows: nothing bulky but the error, of the output its beginning, and what its links name."""
        return (
            self.defer("input", "output", *UNSEEN)
            .annotate(output_begins=Left("output", OUTPUT_BEGINS))
            .select_related("task", "task_version")
        )

    def held_by(self, worker: str) -> ExecutionQuerySet:
        return self.filter(worker=worker, state__in=HELD)

    def standing(self, states: Collection[State]) -> ExecutionQuerySet:
        """Those in one of these states, by a partial index wherever there is one (`literally`)."""
        return self.filter(literally(states))

    def busy_slots(self) -> dict[str, int]:
        """How many executions each worker holds."""
        rows = self.filter(state__in=HELD).order_by().values("worker").annotate(n=Count("pk"))
        return {row["worker"]: row["n"] for row in rows}

    def expired(self, *, before: object) -> ExecutionQuerySet:
        return self.filter(state__in=HELD, lease_until__lt=before)

    def waiting_in(self, queues: Sequence[str]) -> dict[str, int]:
        """How many executions wait for a slot in each of these queues, due or not."""
        rows = self.filter(state__in=CLAIMABLE, queue__in=queues).order_by().values("queue").annotate(n=Count("pk"))
        return {row["queue"]: row["n"] for row in rows}

    def matching(self, text: str) -> ExecutionQuerySet:
        """What a person searches by: an id, a number (EX-1042, or 1042), or a part of the title or of the task's name."""
        with suppress(ValueError):
            return self.filter(pk=uuid.UUID(text))
        named = Q(title__icontains=text) | Q(task__slug__icontains=text)
        number = NUMBER.fullmatch(text.strip())
        if number is None:
            return self.filter(named)
        numbered = Q(number=int(number[2]))
        return self.filter(numbered if number[1] else numbered | named)

    def labelled(self, label: str) -> ExecutionQuerySet:
        """Those that carry a label."""
        if connection.features.supports_json_field_contains:
            return self.filter(labels__contains=[label])
        return self.filter(InJsonList(F("labels"), Value(label)))


def literally(states: Collection[State]) -> RawSQL:
    """`state IN (…)` with its words in the statement: SQLite uses a partial index only where it can read the condition."""
    return RawSQL(f"executions_execution.{in_states(states)}", (), output_field=BooleanField())  # noqa: S611


def in_states(states: Collection[State]) -> str:
    """The same as SQL, for statements that the ORM cannot write."""
    return f"state IN ({', '.join(repr(str(state)) for state in sorted(states))})"


class InJsonList(Func):
    """Whether a text is one of a JSON list, where the database knows no `contains` for JSON."""

    template = "EXISTS (SELECT 1 FROM json_each(%(expressions)s))"
    arg_joiner = ") WHERE value = ("
    output_field = BooleanField()


class Execution(models.Model):
    """Fields of the contract, and what ownership needs: `token` fences, `lease_until` expires, `last_seq` counts history.

    `input`, `output` and `error` are canonical JSON text (JSONB would rewrite numbers). `available_at` None means at once.
    `rank` orders a queue: seconds since 1970 less the priority's head start, smallest first. `revision` is what a browser
    compares: it grows with every change that a card shows. `pausing` is a pause that was asked and not yet reached;
    `paused_from` the state that a resume returns to. Runs of one `lineage` are the same work tried again by a person.
    A child is the call `parent_key`, `parent_occurrence` of its parent's code, and its place among that call's children.
    `limit_key` is what its task's concurrency counts by (`limits.key_of`), empty where its task had no limits.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    number = models.BigIntegerField(unique=True)
    task = models.ForeignKey("tasks.Task", on_delete=models.PROTECT, related_name="+")
    task_version = models.ForeignKey("tasks.TaskVersion", on_delete=models.PROTECT, related_name="+")
    plan = models.ForeignKey("tasks.Plan", null=True, on_delete=models.PROTECT, related_name="+")
    parent = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="children")
    rerun_of = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="reruns")
    lineage = models.UUIDField(editable=False)
    run = models.PositiveIntegerField(default=1)
    depth = models.PositiveSmallIntegerField(default=0)
    parent_key = models.CharField(max_length=200, blank=True)
    parent_occurrence = models.PositiveIntegerField(default=0)
    parent_index = models.PositiveIntegerField(default=0)
    outlives_parent = models.BooleanField(default=False)
    title = models.CharField(max_length=200)

    state = models.CharField(max_length=12, default=State.PENDING)
    state_at = models.DateTimeField()
    reason_code = models.CharField(max_length=20, blank=True)
    waiting_for = models.CharField(max_length=10, blank=True)
    pausing = models.BooleanField(default=False)
    paused_from = models.CharField(max_length=12, blank=True)

    queue = models.CharField(max_length=100)
    requires = models.CharField(max_length=210)
    priority = models.CharField(max_length=10)
    rank = models.FloatField()
    available_at = models.DateTimeField(null=True)
    limit_key = models.CharField(max_length=300, blank=True)

    agent = models.CharField(max_length=100, blank=True)
    team = models.CharField(max_length=100, blank=True)
    environment = models.CharField(max_length=50, blank=True)
    labels = models.JSONField(default=list)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")

    worker = models.CharField(max_length=100, blank=True)
    incarnation = models.PositiveIntegerField(default=0)
    token = models.PositiveBigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    attempt = models.PositiveIntegerField(default=0)
    retries = models.PositiveIntegerField(default=0)
    losses = models.PositiveIntegerField(default=0)
    environment_failures = models.PositiveIntegerField(default=0)

    progress = models.FloatField(null=True)
    message = models.CharField(max_length=500, blank=True)
    last_seq = models.PositiveIntegerField(default=0)
    last_line = models.PositiveBigIntegerField(default=0)
    revision = models.PositiveIntegerField(default=1)
    changed_at = models.DateTimeField()

    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    idempotency_by = models.CharField(max_length=200, blank=True)
    idempotency_key = models.CharField(max_length=200, null=True)
    request_digest = models.CharField(max_length=64, blank=True)

    error = models.TextField(null=True)
    input = models.TextField()
    output = models.TextField(null=True)

    objects = ExecutionQuerySet.as_manager()
    ttl: float | None = None  # of one not yet written: how many seconds it may wait in its queue

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(state__in=list(State)), name="state_known"),
            models.CheckConstraint(
                condition=Q(state__in=sorted(HELD), lease_until__isnull=False)
                | (~Q(state__in=sorted(HELD)) & Q(lease_until__isnull=True)),
                name="leased_iff_held",
            ),
            models.CheckConstraint(
                condition=Q(state__in=sorted(FINAL), finished_at__isnull=False)
                | (~Q(state__in=sorted(FINAL)) & Q(finished_at__isnull=True)),
                name="finished_iff_final",
            ),
            models.CheckConstraint(
                condition=(WAITS & Q(waiting_for__in=list(WaitingFor))) | (~WAITS & Q(waiting_for="")),
                name="waits_for_something",
            ),
            models.CheckConstraint(
                condition=Q(state=State.PAUSED, paused_from__in=[State.PENDING, State.RESUMING, State.WAITING])
                | (~Q(state=State.PAUSED) & Q(paused_from="")),
                name="paused_from_somewhere",
            ),
            models.UniqueConstraint(fields=["lineage", "run"], name="one_run_a_number"),
            models.UniqueConstraint(
                fields=["parent", "parent_key", "parent_occurrence", "parent_index"],
                condition=Q(parent__isnull=False),
                name="one_child_a_call",
            ),
            models.UniqueConstraint(fields=["idempotency_by", "idempotency_key"], name="one_execution_a_key"),
        ]
        indexes = [
            models.Index(fields=["state", "-state_at", "-id"], name="board_column"),
            models.Index(fields=["queue", "rank", "id"], name="claim_order", condition=READY),
            models.Index(fields=["queue", "task", "rank", "id"], name="claim_by_task", condition=READY),
            models.Index(fields=["queue", "available_at"], name="claim_later", condition=LATER),
            models.Index(
                fields=["task", "limit_key", "queue", "priority", "rank"],
                name="live_by_key",
                condition=Q(state__in=sorted(LIVE), limit_key__gt=""),
            ),
            models.Index(fields=["worker"], name="held", condition=Q(state__in=sorted(HELD))),
            models.Index(
                fields=["parent"], name="live_children", condition=Q(state__in=sorted(LIVE), parent__isnull=False)
            ),
            models.Index(fields=["changed_at"], name="executions_changed"),
            models.Index(fields=["-created_at", "-id"], name="newest_first"),
            models.Index(fields=["task", "-created_at", "-id"], name="newest_of_task"),
            models.Index(fields=["task", "state", "-finished_at"], name="task_history"),
        ]

    def __str__(self) -> str:
        return f"EX-{self.number}"

    @property
    def is_final(self) -> bool:
        return self.state in FINAL


def next_numbers(count: int = 1) -> list[int]:
    """The next numbers for people (EX-1042): a sequence on PostgreSQL, under SQLite's write lock the highest plus one."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT nextval('executions_number') FROM generate_series(1, %s)", [count])
            return [int(row[0]) for row in cursor.fetchall()]
    highest = Execution.objects.aggregate(Max("number"))["number__max"] or 0
    return list(range(highest + 1, highest + count + 1))


def rank_of(priority: str, since: float, *, resumed: bool = False) -> float:
    """Where an execution stands in its queue: the moment it became due less its head start (≤ 10 min: nothing starves)."""
    head_start = HEAD_STARTS[priority]
    return since - (max(head_start, RESUMED_HEAD_START) if resumed else head_start)


def touched(**changes: object) -> dict[str, object]:
    """Changes that a card shows: with the next revision, at the database's present moment."""
    return {"revision": F("revision") + 1, "changed_at": clock(), **changes}
