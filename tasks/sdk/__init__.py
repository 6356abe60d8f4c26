"""What an author imports as `runboard`: a handful of verbs that make a script resumable, watched and answerable.

    import runboard

    @runboard.task
    def main(name: str):
        number = runboard.step("draw", draw_number, name)
        if runboard.approve(f"Use {number} for {name}?"):
            return {"number": number}

A step's result is recorded and never computed again; a question, a sleep, a child or a signal ends the process and the next
attempt goes on with what it came to, so code between steps must do the same thing each time.
"""

from __future__ import annotations

from .context import context
from .errors import Cancelled, ChildFailed, Fatal, Misuse, Retryable, SignalTimeout, StepTimeout
from .verbs import approve, ask, checkpoint, input, log, output, progress, step, task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .steps import options
    from .waits import gather, run, sleep, wait_for_signal

__all__ = [
    "Cancelled", "ChildFailed", "Fatal", "Misuse", "Retryable", "SignalTimeout", "StepTimeout", "approve", "ask", "checkpoint",
    "context", "gather", "input", "log", "options", "output", "progress", "run", "sleep", "step", "task", "wait_for_signal",
]  # fmt: skip
_LATER = {"gather": "waits", "options": "steps", "run": "waits", "sleep": "waits", "wait_for_signal": "waits"}


def __getattr__(name: str) -> Any:
    """`runboard.testing`, and the verbs that not every run has to wait for."""
    if name not in _LATER and name != "testing":
        raise AttributeError(f"runboard has no “{name}”; it has {', '.join(__all__)}")
    from importlib import import_module

    if name == "testing":
        return import_module(".testing", __name__)
    verb = globals()[name] = getattr(import_module(f".{_LATER[name]}", __name__), name)
    return verb
