import runboard


class CardRefused(runboard.Fatal):
    """The order ends here: another attempt would be refused as well."""


@runboard.task
def process(
    *,
    customer="Ada Lovelace",
    email="ada@example.org",
    item="Notebook, dotted",
    quantity=2,
    card="4242 4242 4242 4242",
    gateway_seconds=0.3,
):
    order = runboard.step("number", lambda: f"RB-{runboard.context.execution[-8:]}")
    told = {"order": order, "customer": customer, "email": email, "item": item, "quantity": quantity, "card": card}
    runboard.progress(0.1, "checking the order")
    amount = runboard.run("order-validate", told, key="validate", title=f"Check {order}")["amount"]

    runboard.progress(0.3, "payment and stock")
    pay = {"order": order, "amount": amount, "card": card, "gateway_seconds": gateway_seconds}
    try:
        runboard.gather(child("order-payment", pay), child("order-stock", {"order": order}), key="pay-and-take")
    except runboard.ChildFailed as failed:
        refuse(order, failed)

    runboard.progress(0.6, "mail and label")
    _, label = runboard.gather(
        child("order-mail", {"order": order, "about": "confirmed"}),
        child("order-label", {"order": order}),
        key="mail-and-label",
    )

    runboard.progress(0.9, "warehouse")
    tracking = label["tracking"]
    handed = runboard.run("order-warehouse", {"order": order, "tracking": tracking}, key="warehouse")
    return {"order": order, "state": handed["state"], "amount": amount, "tracking": tracking}


def refuse(order, failed):
    """Nothing of a refused order is left: its stock is given back, its payment refunded, and its customer knows."""
    reason = (failed.error or {}).get("message") or f"{failed.task} {failed.state}"
    undone = runboard.run("order-refuse", {"order": order, "reason": reason}, key="refuse")
    runboard.run("order-mail", {"order": order, "about": "refused", "reason": reason}, key="tell-refused")
    runboard.log.warning("refused", order=order, **undone)
    raise CardRefused(f"order {order} was refused: {reason}")


def child(task, value):
    return {"task": task, "input": value, "title": f"{task.removeprefix('order-').capitalize()} {value['order']}"}
