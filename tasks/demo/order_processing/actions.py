"""The parts of an order that touch the world: registered actions, run in a helper process of the worker.

Each does its work in one step and hands the step's idempotency key on, so that a part which is tried again after a crash, in
another process or on another day, has its effect once.
"""

from __future__ import annotations

import hashlib

import runboard

from tasks.demo.order_processing import gateway, post, shop

DIGITS = 16
SUBJECTS = {"confirmed": "Your order {number} is on its way", "refused": "Your order {number} was refused"}
TEXTS = {
    "confirmed": "Hello {customer},\n\nthank you: {quantity} × {item} will be with you soon. We charged {money}.\n",
    "refused": "Hello {customer},\n\nwe cannot send you {quantity} × {item}: {reason}.\nYou pay nothing.\n",
}


class OrderInvalid(runboard.Fatal):  # type: ignore[misc]  # `runboard` is mounted where it runs
    """The order cannot be carried out as it is."""


class CardRefused(runboard.Fatal):  # type: ignore[misc]
    """The gateway says no, and will say so again."""


@runboard.task(name="demo.order.validate")
def validate(*, order: str, customer: str, email: str, item: str, quantity: int, card: str) -> dict[str, int]:
    if "@" not in email:
        raise OrderInvalid(f"“{email}” is no e-mail address")
    if len(card.replace(" ", "")) != DIGITS or not card.replace(" ", "").isdecimal():
        raise OrderInvalid(f"a card has {DIGITS} digits")
    try:
        amount = runboard.step(
            "open", lambda: shop.open_order(number=order, customer=customer, email=email, item=item, quantity=quantity)
        )
    except shop.Impossible as error:
        raise OrderInvalid(str(error)) from error
    runboard.log.info(f"{order}: {quantity} × {item} for {money(amount)}")
    return {"amount": amount}


@runboard.task(name="demo.order.payment")
def payment(order: str, amount: int, card: str, gateway_seconds: float = 0.3) -> dict[str, object]:
    def charge() -> dict[str, str]:
        key = runboard.context.idempotency_key
        return {"key": key, "state": gateway.charge(order, amount=amount, card=card, key=key, seconds=gateway_seconds)}

    patient = runboard.options(max_retries=2, retry_interval=0.5, timeout=gateway_seconds + 10)
    charged = patient.step("charge", charge)
    if charged["state"] != "charged":
        raise CardRefused(f"the card ending in {card[-4:]} was refused")
    return {"payment": charged["key"], "amount": amount}


@runboard.task(name="demo.order.stock")
def stock(order: str) -> dict[str, object]:
    try:
        taken = runboard.step("take", lambda: shop.take(order, key=runboard.context.idempotency_key))
    except shop.Impossible as error:
        raise OrderInvalid(str(error)) from error
    return dict(taken)


@runboard.task(name="demo.order.mail")
def mail(order: str, about: str, reason: str = "") -> dict[str, str]:
    with shop.opened() as book:
        known = shop.order(book, order)
    told = known | {"reason": reason, "money": money(known["amount"])}
    subject, text = SUBJECTS[about].format(**told), TEXTS[about].format(**told)
    to = known["email"]
    runboard.step("send", lambda: post.send(to=to, subject=subject, text=text, key=runboard.context.idempotency_key))
    return {"to": to, "subject": subject}


@runboard.task(name="demo.order.label")
def label(order: str) -> dict[str, str]:
    return {"tracking": f"RB{hashlib.sha256(order.encode()).hexdigest()[:10].upper()}"}


@runboard.task(name="demo.order.warehouse")
def warehouse(order: str, tracking: str) -> dict[str, str]:
    return {"state": runboard.step("hand over", lambda: shop.hand_over(order, tracking=tracking))}


@runboard.task(name="demo.order.refuse")
def refuse(order: str, reason: str) -> dict[str, int]:
    return dict(runboard.step("refuse", lambda: shop.refuse(order, reason=reason)))


def money(cents: int) -> str:
    return f"{cents / 100:.2f} €"
