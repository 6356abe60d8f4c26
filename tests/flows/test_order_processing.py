"""An order goes through its parts: side by side where it may, once where it must, and not on where a card is refused."""

import mailbox
import sqlite3
from contextlib import closing
from http import HTTPStatus
from typing import Any

from tests.services import House, until

FIRST_STOCK = 100_000
REFUSED = "4000 0000 0000 0002"
BEFORE = 60  # seconds in which an order has come to its end


def test_an_order_is_paid_taken_written_about_and_handed_to_the_warehouse(house: House) -> None:
    before = left(house)
    pk = house.submit("order-processing", {"gateway_seconds": 0.2})
    done = house.reaches(pk, "completed", "failed", within=BEFORE)

    assert done["state"] == "completed", done["error"]
    number = done["output"]["order"]
    assert (done["output"]["state"], done["output"]["amount"]) == ("handed over", 2580)
    assert payments(house, number) == [("charged", 2580, 1)]
    assert warehouse(house) >= {number}
    assert left(house) == before - 2
    assert [letter["Subject"] for letter in letters(house, number)] == [f"Your order {number} is on its way"]
    assert (done["retries"], done["losses"]) == (0, 0)
    assert ends(house, pk) == {
        "order-validate": "completed",
        "order-payment": "completed",
        "order-stock": "completed",
        "order-mail": "completed",
        "order-label": "completed",
        "order-warehouse": "completed",
    }


def test_a_refused_card_takes_nothing_tells_the_customer_once_and_stops_the_rest(house: House) -> None:
    before = left(house)
    pk = house.submit("order-processing", {"card": REFUSED, "gateway_seconds": 0.2})
    done = house.reaches(pk, "completed", "failed", within=BEFORE)

    assert done["state"] == "failed"
    assert done["error"]["type"] == "CardRefused"
    number = done["error"]["message"].split()[1]
    assert done["error"]["message"].endswith("the card ending in 0002 was refused")
    assert done["retries"] == 0
    assert order(house, number)["state"] == "refused"
    assert payments(house, number) == [("refused", 2580, 1)]
    assert left(house) == before
    assert number not in warehouse(house)
    assert [letter["Subject"] for letter in letters(house, number)] == [f"Your order {number} was refused"]
    ended = ends(house, pk)
    assert ended["order-payment"] == "failed"
    assert {"order-warehouse", "order-label"} & ended.keys() == set()


def test_a_refused_order_that_is_resumed_ends_as_it_did_and_asks_no_card_again(house: House) -> None:
    pk = house.submit("order-processing", {"card": REFUSED, "gateway_seconds": 0.2})
    first = house.reaches(pk, "completed", "failed", within=BEFORE)
    number = first["error"]["message"].split()[1]
    status, again = house.api("POST", f"executions/{pk}/retry/", {"resume": True})
    assert status == HTTPStatus.CREATED
    second = house.reaches(again["id"], "completed", "failed", within=BEFORE)
    assert second["error"]["message"] == first["error"]["message"]
    assert children(house, again["id"]) == []
    assert payments(house, number) == [("refused", 2580, 1)]


def test_a_payment_whose_worker_was_killed_is_charged_once(house: House) -> None:
    pk = house.submit("order-processing", {"gateway_seconds": 3})
    number = f"RB-{pk[-8:]}"
    until(lambda: payments(house, number), what="the card was not charged")
    worker = house.kill("worker")
    house.is_back("worker", since=worker)

    done = house.reaches(pk, "completed", "failed", within=BEFORE)
    assert done["state"] == "completed", done["error"]
    assert payments(house, number) == [("charged", 2580, 2)], "asked for twice, charged once"
    assert len(letters(house, number)) == 1
    [payment] = [child for child in children(house, pk) if child["task"] == "order-payment"]
    assert (payment["attempt"], payment["retries"]) == (2, 0)


def children(house: House, pk: str) -> list[dict[str, Any]]:
    return house.rows(f"executions/{pk}/children/")


def ends(house: House, pk: str) -> dict[str, str]:
    """How each part ended, by its task."""
    return {child["task"]: child["state"] for child in children(house, pk)}


def rows(house: House, question: str, *values: str) -> list[sqlite3.Row]:
    path = house.home / "demo" / "shop.sqlite3"
    if not path.exists():
        return []
    with closing(sqlite3.connect(path, timeout=30)) as book:
        book.row_factory = sqlite3.Row
        known = {row["name"] for row in book.execute("SELECT name FROM sqlite_master")}
        return book.execute(question, values).fetchall() if "payments" in known else []


def left(house: House) -> int:
    """How many notebooks there are."""
    found = rows(house, "SELECT available FROM stock WHERE item = 'Notebook, dotted'")
    return int(found[0]["available"]) if found else FIRST_STOCK


def order(house: House, number: str) -> dict[str, Any]:
    [found] = rows(house, "SELECT * FROM orders WHERE number = ?", number)
    return dict(found)


def payments(house: House, number: str) -> list[tuple[str, int, int]]:
    """Of an order: what became of each charge, its cents, and how often the gateway was asked for it."""
    found = rows(house, "SELECT state, amount, asked FROM payments WHERE number = ?", number)
    return [(row["state"], row["amount"], row["asked"]) for row in found]


def warehouse(house: House) -> set[str]:
    return {row["number"] for row in rows(house, "SELECT number FROM warehouse")}


def letters(house: House, number: str) -> list[mailbox.MaildirMessage]:
    spool = mailbox.Maildir(str(house.home / "demo" / "mail"), create=False)
    return [letter for letter in spool if number in letter["Subject"]]
