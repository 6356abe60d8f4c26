"""The order's script and its parts, with a real book and a real mail spool, without a house."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tasks.manifest import DEMO
from tasks.sdk import ChildFailed, Fatal, testing

testing.call_it_runboard()
from tasks.demo.order_processing import actions, gateway, post, shop  # noqa: E402  (they import `runboard`)

FLOW = str(DEMO / "order_processing" / "main.py")
ACTIONS = {
    "order-validate": actions.validate,
    "order-payment": actions.payment,
    "order-stock": actions.stock,
    "order-mail": actions.mail,
    "order-label": actions.label,
    "order-warehouse": actions.warehouse,
    "order-refuse": actions.refuse,
}
REFUSED = "4000 0000 0000 0002"
NOTEBOOK = "Notebook, dotted"


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNBOARD_HOME", str(tmp_path))


def played(**given: Any) -> testing.Result:
    """The flow, whose children are the real actions, each an execution of its own."""
    return testing.run(FLOW, {"gateway_seconds": 0, **given}, children=children())


def children() -> dict[str, Callable[[Any], Any]]:
    def of(action: Callable[..., Any]) -> Callable[[Any], Any]:
        return lambda given: testing.run(action, given).output

    return {task: of(action) for task, action in ACTIONS.items()}


def rows(table: str) -> list[dict[str, Any]]:
    with shop.opened() as book:
        return [dict(row) for row in book.execute(f"SELECT * FROM {table}")]


def left(item: str = NOTEBOOK) -> int:
    return {row["item"]: int(row["available"]) for row in rows("stock")}[item]


def test_an_order_is_charged_taken_written_about_labelled_and_handed_over() -> None:
    result = played()
    assert result.output["state"] == "handed over"
    assert result.output["amount"] == 2 * 1290
    assert [(row["card"], row["amount"], row["state"]) for row in rows("payments")] == [("4242", 2580, "charged")]
    assert left() == shop.FIRST_STOCK - 2
    assert [row["tracking"] for row in rows("warehouse")] == [result.output["tracking"]]
    [letter] = post.spool()
    assert letter["To"] == "ada@example.org"
    assert "is on its way" in letter["Subject"]
    assert [child["task"] for child in result.children] == [
        "order-validate", "order-payment", "order-stock", "order-mail", "order-label", "order-warehouse",
    ]  # fmt: skip


def test_a_refused_card_marks_the_order_writes_to_the_customer_and_stops_the_rest() -> None:
    with pytest.raises(Fatal, match="was refused: the card ending in 0002 was refused"):
        played(card=REFUSED)
    assert [(row["state"], row["reason"]) for row in rows("orders")] == [
        ("refused", "the card ending in 0002 was refused")
    ]
    assert left() == shop.FIRST_STOCK
    assert rows("warehouse") == []
    [letter] = post.spool()
    assert "was refused" in letter["Subject"]


def test_what_is_not_in_stock_is_refunded() -> None:
    with pytest.raises(Fatal, match="there are not 200000"):
        played(quantity=200_000)
    assert [row["state"] for row in rows("payments")] == ["refunded"]
    assert left() == shop.FIRST_STOCK


@pytest.mark.parametrize(
    ("given", "words"),
    [({"item": "Sofa"}, "no “Sofa”"), ({"email": "ada"}, "no e-mail address"), ({"card": "42"}, "has 16 digits")],
)
def test_an_order_that_cannot_be_carried_out_goes_no_further(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ChildFailed, match=words):
        played(**given)
    assert rows("payments") == []


def test_what_was_taken_before_the_card_was_refused_is_given_back() -> None:
    number = "RB-1"
    shop.open_order(number=number, customer="Ada", email="a@b", item=NOTEBOOK, quantity=3)
    shop.take(number, key="k")
    shop.take(number, key="k")
    assert left() == shop.FIRST_STOCK - 3
    assert shop.refuse(number, reason="no") == {"given_back": 3, "refunded": 0}
    assert shop.refuse(number, reason="no") == {"given_back": 0, "refunded": 0}
    assert left() == shop.FIRST_STOCK
    with pytest.raises(shop.Impossible, match="is refused"):
        shop.take(number, key="late")
    with pytest.raises(shop.Impossible, match="is refused"):
        shop.hand_over(number, tracking="x")


def test_a_charge_asked_for_twice_at_once_is_booked_once() -> None:
    number = "RB-2"
    amount = shop.open_order(number=number, customer="Ada", email="a@b", item=NOTEBOOK, quantity=1)

    def charge(_: int) -> str:
        return gateway.charge(number, amount=amount, card="4242", key="k", seconds=0)

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(charge, range(8))) == {"charged"}
    assert [(row["asked"], row["amount"]) for row in rows("payments")] == [(8, 1290)]


def test_a_letter_is_there_once_though_it_was_read_meanwhile() -> None:
    letter = {"to": "a@b", "subject": "Hello", "text": "Hello", "key": "k"}
    post.send(**letter)
    post.send(**letter)
    [path] = (shop.home() / "mail" / "new").iterdir()
    path.rename(shop.home() / "mail" / "cur" / f"{path.name}:2,S")
    post.send(**letter)
    assert len(post.spool()) == 1
