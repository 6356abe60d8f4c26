"""★ The door: every change of an execution's state is a verb here, and nowhere else.

A verb takes `now`, moves with one compare-and-swap, records its event in the same transaction, and lets the room announce
it after commit. Workers speak with their `Claim`; people and machines with their `actor`. What cannot be raises `Refused`
and changes nothing. How a move is made: `moving`; the verbs: `submitting`, `owning`, `telling`, `ending`, `answering`,
and, for workers themselves, `presence`.
"""

from executions.models import Claim
from executions.retry import Category
from executions.transitions.answering import answer, cancel, fire
from executions.transitions.ending import complete, fail, reject, stopped
from executions.transitions.moving import Refused, Stale
from executions.transitions.owning import claim, reclaim, release, renew, start
from executions.transitions.presence import beat, drain, enlist, retire, serve
from executions.transitions.submitting import Submission, submit
from executions.transitions.telling import Asked, ask, log, progress, step

__all__ = [
    "Asked",
    "Category",
    "Claim",
    "Refused",
    "Stale",
    "Submission",
    "answer",
    "ask",
    "beat",
    "cancel",
    "claim",
    "complete",
    "drain",
    "enlist",
    "fail",
    "fire",
    "log",
    "progress",
    "reclaim",
    "reject",
    "release",
    "renew",
    "retire",
    "serve",
    "start",
    "step",
    "stopped",
    "submit",
]
