"""What executions and their parts look like as JSON, and what the bodies of their verbs may hold. No rule is here."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from executions.models import QUESTION_KINDS, Execution, Question, Step
from executions.states import PHASES, State, WaitingFor, allowed_verbs, phase
from executions.waiting import Why
from tasks.api.fields import Moment, Number, OneOf, OrNull, StoredValue, Strict, Text, Truth, Value, Whole
from tasks.models import PRIORITIES

STATES = tuple(map(str, State))
PHASE_NAMES = tuple(PHASES)
QUESTION_STATES = tuple(Question.State.values)
STEP_KINDS = tuple(Step.Kind.values)
WAIT_KINDS = (str(WaitingFor.TIME), str(WaitingFor.CHILDREN), str(WaitingFor.SIGNAL))
MOST_LABELS = 50
MOST_IN_A_BATCH = 200


class ExecutionRow(serializers.Serializer[Execution]):
    """An execution as lists show it: without its input and output, which can be megabytes."""

    id = serializers.UUIDField()
    number = serializers.IntegerField(help_text="For people: EX-1042.")
    title = serializers.CharField()
    state = OneOf(STATES)
    phase = serializers.SerializerMethodField(help_text="The coarse word for its state.")
    reason = serializers.SerializerMethodField(help_text="Why it is not moving, in a sentence.")
    reason_code = serializers.SerializerMethodField(help_text="Why it is where it is, in a word.")
    task = serializers.CharField(source="task_slug")
    version = serializers.IntegerField(source="version_number")
    plan = serializers.IntegerField(source="plan_id", allow_null=True)
    parent = serializers.UUIDField(source="parent_id", allow_null=True)  # type: ignore[assignment]
    parent_key = OrNull(help_text="The call of its parent's code that started it.")
    rerun_of = serializers.UUIDField(source="rerun_of_id", allow_null=True)
    lineage = serializers.UUIDField(help_text="Runs of the same work share it.")
    run = serializers.IntegerField(help_text="Its number in the lineage.")
    paused_from = OrNull(help_text="The state that a resume returns to.")
    pausing = serializers.BooleanField(help_text="A pause was asked and is not yet reached.")
    allowed = serializers.SerializerMethodField(help_text="What may be asked of it now.")
    queue = serializers.CharField()
    worker = OrNull()
    agent = serializers.CharField()
    team = serializers.CharField()
    environment = serializers.CharField()
    owner = serializers.CharField(source="owner_name", allow_null=True)
    labels = serializers.ListField(child=serializers.CharField())
    priority = OneOf(PRIORITIES)
    attempt = serializers.IntegerField(help_text="Claims so far.")
    retries = serializers.IntegerField(help_text="Failures that used the retry budget.")
    losses = serializers.IntegerField(help_text="Workers lost since the last recorded step.")
    progress = serializers.FloatField(allow_null=True, help_text="From 0 to 1.")
    message = serializers.CharField()
    available_at = Moment(allow_null=True, help_text="Not before this moment; null is at once.")
    created_at = Moment()
    started_at = Moment(allow_null=True)
    finished_at = Moment(allow_null=True)
    duration = serializers.SerializerMethodField(help_text="Seconds from its start to its end.")
    error = StoredValue()

    @extend_schema_field(OneOf(PHASE_NAMES))
    def get_phase(self, row: Execution) -> str:
        return phase(row.state, row.paused_from)

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_allowed(self, row: Execution) -> list[str]:
        return allowed_verbs(row.state, pausing=row.pausing, waiting_for=row.waiting_for)

    def get_reason(self, row: Execution) -> str | None:
        why = self._why(row)
        return why.sentence if why else None

    def get_reason_code(self, row: Execution) -> str | None:
        why = self._why(row)
        return why.code if why else row.reason_code or None

    def get_duration(self, row: Execution) -> float | None:
        if row.started_at is None or row.finished_at is None:
            return None
        return (row.finished_at - row.started_at).total_seconds()

    def _why(self, row: Execution) -> Why | None:
        why: Why | None = self.context["reasons"].get(row.pk)
        return why


@extend_schema_serializer(component_name="Execution")
class ExecutionWhole(ExecutionRow):
    """An execution with everything that is known of it."""

    input = StoredValue()
    output = StoredValue()


class Submit(Strict):
    """What is to run, a task or a plan, and what to choose instead of the task's own settings."""

    also = {"oneOf": [{"required": ["task"]}, {"required": ["plan"]}]}

    task = Text(required=False, max_length=100, help_text="The slug of a task.")
    plan = Whole(required=False, help_text="The id of a plan, which is launched; its input counts unless one is given.")
    input = Value(required=False, help_text="What the task's input schema asks for; without one an empty object.")
    title = Text(required=False, allow_null=True)
    queue = Text(required=False, allow_null=True, max_length=100)
    priority = OneOf(PRIORITIES, required=False, allow_null=True)
    start_at = Moment(required=False, allow_null=True, help_text="Not before this moment.")
    ttl = Number(required=False, allow_null=True, help_text="Seconds it may wait for a worker, else it has timed out.")
    agent = Text(required=False, allow_null=True, max_length=100, allow_blank=True)
    team = Text(required=False, allow_null=True, max_length=100, allow_blank=True)
    environment = Text(required=False, allow_null=True, max_length=50, allow_blank=True)
    labels = serializers.ListField(child=Text(max_length=100), required=False, allow_null=True, max_length=MOST_LABELS)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("task" in attrs) == ("plan" in attrs):
            raise serializers.ValidationError({"task": ["is required" if "task" not in attrs else "not with a plan"]})
        return attrs


class Batch(Strict):
    """Several submissions: all of them are accepted, or none."""

    executions = Submit(many=True, allow_empty=False, max_length=MOST_IN_A_BATCH)  # type: ignore[call-arg]


class BatchAnswer(serializers.Serializer[Any]):
    results = ExecutionWhole(many=True)


class WhyAsked(Strict):
    reason = Text(required=False, allow_blank=True, max_length=500)


class Terminate(Strict):
    reason = Text(max_length=500, help_text="Why nobody could wait for a cancel; it stays in its history.")

    def validate_reason(self, reason: str) -> str:
        if not reason.strip():
            raise serializers.ValidationError("must say why")
        return reason


class Retry(Strict):
    """How it is tried again: anew, or keeping what was recorded. Without a member it is the same again."""

    input = Value(required=False, help_text="Left out or null: the input it had.")
    version = Whole(
        required=False, allow_null=True, min_value=1, help_text="Left out: the newest, or with what is kept its own."
    )
    resume = Truth(required=False, help_text="Keep everything that was recorded.")
    from_step = Text(required=False, allow_null=True, help_text="Keep what was recorded before this step.")
    occurrence = Whole(required=False, help_text="Of the step: 0 is the first of its key.")
    question = serializers.UUIDField(required=False, allow_null=True, help_text="Keep what came before this answer …")
    answer = Value(required=False, help_text="… and answer the question with this.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        kept = [name for name in ("resume", "from_step", "question") if attrs.get(name) not in (None, False)]
        wrong = {name: [f"not with {kept[0]}"] for name in kept[1:]}
        if "occurrence" in attrs and "from_step" not in kept:
            wrong["occurrence"] = ["needs from_step"]
        if ("answer" in attrs) != ("question" in kept):
            wrong["answer"] = ["needs question" if "answer" in attrs else "is required with question"]
        if wrong:
            raise serializers.ValidationError(wrong)
        return {name: value for name, value in attrs.items() if value is not None or name == "answer"}


class SendSignal(Strict):
    name = Text(help_text="What its code waits for, or will.")
    value = Value(required=False)
    key = Text(required=False, allow_null=True, help_text="One sent twice under the same key counts once.")


class Answer(Strict):
    value = Value(help_text="By the question's kind: true or false, an option's value, a list, a text, an object.")
    note = Text(required=False, allow_blank=True, max_length=10_000)


class EventRow(serializers.Serializer[Any]):
    """What happened, once; `seq` counts from 1 without gaps."""

    seq = serializers.IntegerField()
    kind = serializers.CharField()
    at = Moment()
    actor = serializers.CharField()
    reason = serializers.CharField()
    data = StoredValue()  # type: ignore[assignment]


class LineRow(serializers.Serializer[Any]):
    n = serializers.IntegerField(help_text="Counts from 1 over all attempts.")
    at = Moment()
    stream = serializers.CharField()
    level = serializers.CharField()
    text = serializers.CharField()


class StepRow(serializers.Serializer[Any]):
    """A recorded result: later attempts get it back and do not run its code again."""

    key = serializers.CharField()
    occurrence = serializers.IntegerField()
    kind = OneOf(STEP_KINDS)
    attempt = serializers.IntegerField(help_text="0: an earlier run recorded it.")
    value = StoredValue()
    started_at = Moment()
    finished_at = Moment()


class WaitRow(serializers.Serializer[Any]):
    """A call of its code that waits without holding a slot: for a moment, its children, or a signal."""

    key = serializers.CharField()
    occurrence = serializers.IntegerField()
    kind = OneOf(WAIT_KINDS)
    name = OrNull(help_text="The signal's.")
    due_at = Moment(allow_null=True, help_text="When a sleep, or the patience for a signal, ends.")
    value = Value(help_text="What it waited for; null while it goes on.")
    started_at = Moment()
    finished_at = Moment(allow_null=True)


class SignalRow(serializers.Serializer[Any]):
    """What was sent to it by name."""

    name = serializers.CharField()
    key = serializers.CharField(allow_null=True)
    value = Value()
    sent_by = serializers.CharField()
    sent_at = Moment()
    taken_by = serializers.CharField(
        source="taken_by.key", allow_null=True, help_text="The wait that took it; null while it is kept for one."
    )


class AttemptRow(serializers.Serializer[Any]):
    """One claim by one worker."""

    number = serializers.IntegerField()
    worker = serializers.CharField()
    method = OrNull()
    driver = OrNull()
    sandbox = OrNull()
    choice = OrNull(help_text="Why this sandbox.")
    claimed_at = Moment()
    started_at = Moment(allow_null=True)
    finished_at = Moment(allow_null=True)
    outcome = OrNull(help_text="Null while it goes on.")
    error = StoredValue()


class QuestionRow(serializers.Serializer[Question]):
    """What the author's code asks, and what was answered."""

    id = serializers.UUIDField()
    execution = serializers.UUIDField(source="execution_id")
    key = serializers.CharField()
    prompt = serializers.CharField()
    kind = OneOf(QUESTION_KINDS)
    options = serializers.ListField(child=serializers.DictField())
    schema = Value()
    recommended = Value()
    deadline = Moment(allow_null=True)
    default = StoredValue(help_text="What counts when the deadline passes.")
    state = OneOf(QUESTION_STATES)
    answer = StoredValue()
    note = serializers.CharField()
    answered_by = OrNull()
    asked_at = Moment()
    answered_at = Moment(allow_null=True)


class QueueRow(serializers.Serializer[Any]):
    name = serializers.CharField()
    description = serializers.CharField()
    depth = serializers.IntegerField(help_text="Executions that wait for a slot, also those that may not start yet.")
    slots = serializers.IntegerField(help_text="Slots of the living workers that serve it.")
    workers = serializers.ListField(child=serializers.CharField(), help_text="The living workers that serve it.")
    limit = Whole(allow_null=True, help_text="How many of it are held at once, at most; null: as there are slots.")
    paused_at = Moment(allow_null=True, help_text="Since when nothing of it is started.")
    paused_by = OrNull()


class QueueLimit(Strict):
    limit = Whole(allow_null=True, min_value=1, max_value=1_000_000, help_text="null lifts it.")
