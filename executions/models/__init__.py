"""The record of what happened: one module a noun. Private to this room; others ask `queries` or call the door."""

from executions.models.anchor import Anchor
from executions.models.attempt import Attempt, Claim
from executions.models.clock import clock, clock_sql, read_clock
from executions.models.event import EVENT_COLUMNS, Event, EventRow, standing_of
from executions.models.execution import Execution, ExecutionQuerySet, in_states, new_id, next_numbers, rank_of, touched
from executions.models.firing import Firing
from executions.models.log import LogChunk, LogLine, pack
from executions.models.question import QUESTION_KINDS, Question
from executions.models.returning import insert, update_returning
from executions.models.signal import Signal
from executions.models.step import Step
from executions.models.timer import Timer
from executions.models.tombstone import Tombstone
from executions.models.wait import Wait
from executions.models.worker import Worker

__all__ = [
    "EVENT_COLUMNS",
    "QUESTION_KINDS",
    "Anchor",
    "Attempt",
    "Claim",
    "Event",
    "EventRow",
    "Execution",
    "ExecutionQuerySet",
    "Firing",
    "LogChunk",
    "LogLine",
    "Question",
    "Signal",
    "Step",
    "Timer",
    "Tombstone",
    "Wait",
    "Worker",
    "clock",
    "clock_sql",
    "in_states",
    "insert",
    "new_id",
    "next_numbers",
    "pack",
    "rank_of",
    "read_clock",
    "standing_of",
    "touched",
    "update_returning",
]
