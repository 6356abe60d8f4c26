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

__all__ = [
    "Cancelled", "Fatal", "Misuse", "Retryable", "approve", "ask", "context", "input", "log", "output", "progress", "step",
    "task",
]  # fmt: skip
