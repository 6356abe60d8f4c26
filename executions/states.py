"""The only list of states and moves. Pure data: what may become what, and what a state means to the rest of the house.

Two situations are different states only if they differ in whether a slot is held, which verbs are legal, or which alarm
applies; everything else is a `Reason`.
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where an execution is."""

    PENDING = "pending"  # submitted, never claimed
    RESUMING = "resuming"  # ran before, holds recorded steps, runs again when a slot is free
    PREPARING = "preparing"  # claimed, its sandbox is being made
    RUNNING = "running"  # the author's code is active
    CANCELLING = "cancelling"  # stop asked, not yet confirmed
    WAITING = "waiting"  # holds no slot; `waiting_for` says what for
    PAUSED = "paused"  # a person froze it
    COMPLETED = "completed"  # output valid and stored
    FAILED = "failed"  # the author's error
    TIMED_OUT = "timed_out"  # our clock
    REJECTED = "rejected"  # never ran: input, permission, policy, no such environment
    CANCELLED = "cancelled"  # stopped and known to be stopped
    TERMINATED = "terminated"  # record closed, stopping not observed


S = State
CLAIMABLE = frozenset({S.PENDING, S.RESUMING})
HELD = frozenset({S.PREPARING, S.RUNNING, S.CANCELLING})
PARKED = frozenset({S.WAITING, S.PAUSED})
FINAL = frozenset({S.COMPLETED, S.FAILED, S.TIMED_OUT, S.REJECTED, S.CANCELLED, S.TERMINATED})
LIVE = frozenset(State) - FINAL

# target → the states it may be reached from
MOVES: dict[State, frozenset[State]] = {
    S.PENDING: frozenset({S.PAUSED}),  # a new row is born pending; pause remembers where it came from
    S.RESUMING: HELD | PARKED,  # retry, recovered, drained; answered, timer, children, unpaused
    S.PREPARING: CLAIMABLE,
    S.RUNNING: frozenset({S.PREPARING}),
    S.CANCELLING: frozenset({S.PREPARING, S.RUNNING}),
    S.WAITING: frozenset({S.RUNNING, S.PAUSED}),
    S.PAUSED: CLAIMABLE | {S.RUNNING, S.WAITING},
    S.COMPLETED: frozenset({S.RUNNING, S.CANCELLING}),  # what really happened wins over a late cancel
    S.FAILED: HELD | PARKED,
    S.TIMED_OUT: LIVE,
    S.REJECTED: frozenset({S.PREPARING}),
    S.CANCELLED: CLAIMABLE | PARKED | {S.CANCELLING},
    S.TERMINATED: LIVE,
}


class WaitingFor(StrEnum):
    """What a waiting execution waits for."""

    ANSWER = "answer"
    TIME = "time"
    CHILDREN = "children"
    SIGNAL = "signal"


class Reason(StrEnum):
    """Why an execution is where it is: a word for programs; `waiting.sentence` says it for people."""

    NONE = ""
    RETRY = "retry"
    ANSWERED = "answered"
    RECOVERED = "recovered"
    DRAINED = "drained"
    TIMER = "timer"
    CHILDREN = "children"
    SIGNALLED = "signalled"
    UNPAUSED = "unpaused"
    WITHDRAWN = "withdrawn"
    ERROR = "error"
    GAVE_UP = "gave_up"
    ENVIRONMENT = "environment"
    OUTPUT_INVALID = "output_invalid"
    INPUT_INVALID = "input_invalid"
    RESOURCES = "resources"
    WORKER_LOST = "worker_lost"
    TIMEOUT = "timeout"
    BY_PERSON = "by_person"
    NO_ANSWER = "no_answer"
    NOT_STOPPED = "not_stopped"
    EXPIRED = "expired"  # nobody claimed it within timeouts.queue
    DEADLINE = "deadline"  # it took longer than timeouts.execution
    PARENT_ENDED = "parent_ended"
    UNDONE = "undone"
    CONFLICT = "conflict"  # its task's concurrency says skip, or a newer one took its place


PHASES: dict[str, frozenset[State]] = {
    "pending": frozenset({S.PENDING}),
    "running": frozenset({S.RESUMING}) | HELD | PARKED,
    "completed": frozenset({S.COMPLETED}),
    "failed": frozenset({S.FAILED, S.TIMED_OUT, S.REJECTED}),
    "cancelled": frozenset({S.CANCELLED, S.TERMINATED}),
}


def phase(state: str, paused_from: str = "") -> str:
    """The coarse word of API and filters: pending, running, completed, failed or cancelled. What is paused is where it was."""
    return next(name for name, states in PHASES.items() if (paused_from or state) in states)


def allowed_verbs(state: str, *, pausing: bool = False, waiting_for: str = "") -> list[str]:
    """What may be asked of an execution in this state; a refusal names these."""
    if state in FINAL:
        return ["retry"]
    frozen = pausing or state == S.PAUSED
    verbs = {
        "answer": waiting_for == WaitingFor.ANSWER,
        "cancel": state != S.CANCELLING,
        "pause": not frozen and state != S.CANCELLING,
        "resume": frozen and state != S.CANCELLING,
        "signal": True,
        "terminate": True,
    }
    return [name for name, allowed in verbs.items() if allowed]
