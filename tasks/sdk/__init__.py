"""What an author imports as `runboard`: a handful of verbs that make a script resumable, watched and answerable.

    import runboard

    @runboard.task
    def main(name: str):
        number = runboard.step("draw", draw_number, name)
        if runboard.approve(f"Use {number} for {name}?"):
            return {"number": number}

A step's result is recorded and never computed again; a question ends the process and the next attempt goes on with its
answer, so code between steps must do the same thing each time.
"""

from __future__ import annotations

from .context import context
from .errors import Cancelled, Fatal, Misuse, Retryable
from .verbs import approve, ask, input, log, output, progress, step, task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "Cancelled", "Fatal", "Misuse", "Retryable", "approve", "ask", "context", "input", "log", "output", "progress", "step",
    "task",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """`runboard.testing`, which no run has to wait for."""
    if name != "testing":
        raise AttributeError(f"runboard has no “{name}”; it has {', '.join(__all__)}")
    from importlib import import_module

    return import_module(".testing", __name__)
