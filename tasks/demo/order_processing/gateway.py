"""A payment gateway as they are: it charges once for each idempotency key, answers slowly, and refuses some cards."""

from __future__ import annotations

import time

from tasks.demo.order_processing import shop

REFUSED = "0002"


def charge(number: str, *, amount: int, card: str, key: str, seconds: float) -> str:
    """What became of a charge: charged or refused. Asked again under the same key, it says the same and takes nothing more.

    It is booked at once and its answer takes `seconds`: who dies meanwhile has paid and does not know it.
    """
    state = "refused" if card.endswith(REFUSED) else "charged"
    with shop.opened() as book:
        booked = book.execute(
            "INSERT INTO payments (idempotency_key, number, amount, card, state) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (idempotency_key) DO UPDATE SET asked = asked + 1 RETURNING state",
            (key, number, amount, card[-4:], state),
        ).fetchone()
    time.sleep(seconds)
    return str(booked["state"])
