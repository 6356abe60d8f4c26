"""★ The door: every change of an execution's state is a verb here, and nowhere else.

A verb takes `now`, moves with one compare-and-swap, records its event in the same transaction, and lets the room announce
it after commit. Workers speak with their `Claim`; people and machines with their `actor`. What cannot be raises `Refused`
and changes nothing. How a move is made: `moving`. Births: `submitting`, `again`. What workers say: `claiming`, `owning`,
`telling`, `suspending`, `ending`, `finishing`; for themselves, `presence`. What people, timers and children say:
`answering`, `stopping`, `timing`, `children`.
"""

from executions.models import Claim
from executions.retry import Category
from executions.transitions.again import Again, rerun
from executions.transitions.answering import answer, signal
from executions.transitions.claiming import claim
from executions.transitions.ending import complete, fail, reject, stopped
from executions.transitions.finishing import Finished, complete_all
from executions.transitions.moving import Refused, Stale
from executions.transitions.owning import Began, reclaim, release, renew, start
from executions.transitions.presence import beat, drain, enlist, retire, serve
from executions.transitions.stopping import cancel, cancel_child, pause, release_children, resume, terminate
from executions.transitions.submitting import Submission, submit, submit_all
from executions.transitions.suspending import Asked, Child, ask, await_signal, run, sleep
from executions.transitions.telling import Then, checkpoint, diverged, log, progress, step
from executions.transitions.timing import fire

__all__ = [
    "Again",
    "Asked",
    "Began",
    "Category",
    "Child",
    "Claim",
    "Finished",
    "Refused",
    "Stale",
    "Submission",
    "Then",
    "answer",
    "ask",
    "await_signal",
    "beat",
    "cancel",
    "cancel_child",
    "checkpoint",
    "claim",
    "complete",
    "complete_all",
    "diverged",
    "drain",
    "enlist",
    "fail",
    "fire",
    "log",
    "pause",
    "progress",
    "reclaim",
    "reject",
    "release",
    "release_children",
    "renew",
    "rerun",
    "resume",
    "retire",
    "run",
    "serve",
    "signal",
    "sleep",
    "start",
    "step",
    "stopped",
    "submit",
    "submit_all",
    "terminate",
]
