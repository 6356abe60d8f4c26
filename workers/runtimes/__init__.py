"""Where attempts run: a choice of method, a real probe of this machine, and the runtimes behind one door.

runtimes = Runtimes(owner="/srv/runboard w1", actions=["tasks.demo"], slots=4)
runtimes.open()
sandbox = runtimes.prepare(order)
for frame in sandbox.frames(): …
exit = sandbox.close()
"""

from __future__ import annotations

from collections.abc import Sequence

from workers.runtimes import janitor
from workers.runtimes.base import (
    EnvironmentFailed,
    EnvironmentUnavailable,
    Exit,
    Line,
    Lines,
    Memo,
    Order,
    Runtime,
    Sandbox,
)
from workers.runtimes.bwrap import BwrapRuntime
from workers.runtimes.choose import Choice, choose
from workers.runtimes.in_process import InProcessRuntime
from workers.runtimes.probe import Finding, Probe, probe

__all__ = [
    "Choice", "EnvironmentFailed", "EnvironmentUnavailable", "Exit", "Finding", "Line", "Lines", "Memo", "Order", "Probe",
    "Runtime", "Runtimes", "Sandbox", "choose", "probe",
]  # fmt: skip


class Runtimes:
    """The runtimes of one worker. `owner` names the worker on this machine (its home and its name)."""

    def __init__(self, *, owner: str, actions: Sequence[str] = (), slots: int = 1) -> None:
        self.owner = owner
        self.container: Runtime = BwrapRuntime(owner=owner)
        self.in_process = InProcessRuntime(modules=actions, spare=slots if actions else 0)

    def open(self) -> Probe:
        """Ends an earlier life's leftovers, starts the helpers, and tries a sandbox. About 0.2 s."""
        janitor.clear(self.owner)
        self.in_process.warm()
        return probe()

    def prepare(self, order: Order, *, choice: Choice | None = None) -> Sandbox:
        """A sandbox in which the order starts. Raises EnvironmentUnavailable or EnvironmentFailed, each with its words."""
        method = (choice or choose(order)).method
        if method == "in_process":
            return self.in_process.prepare(order)
        if not probe().ok:
            raise EnvironmentUnavailable(probe().problem)
        return self.container.prepare(order)

    def close(self) -> None:
        """Ends the helpers. Sandboxes are closed by whoever opened them."""
        self.in_process.close()
