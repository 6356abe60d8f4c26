"""Which method an attempt runs by, and why. Pure; never chooses less isolation than was asked for."""

from __future__ import annotations

from dataclasses import dataclass

from workers.runtimes.base import Order


@dataclass(frozen=True, slots=True)
class Choice:
    """`method` container or in_process, its `driver`, and the sentence that is recorded with the attempt."""

    method: str
    driver: str
    why: str


def choose(order: Order) -> Choice:
    """The first rule that fits: high isolation, then a registered and trusted action, else a container."""
    if order.security.level == "HIGH":
        return Choice("container", "bwrap", "security level HIGH: always a container")
    if order.kind == "action" and order.security.level == "LOW":
        return Choice("in_process", "helper", "a registered action at security level LOW: the operator's own code")
    if order.kind == "action":
        return Choice("container", "bwrap", f"an action at security level {order.security.level}: a container")
    return Choice("container", "bwrap", "an author's script: always a container")
