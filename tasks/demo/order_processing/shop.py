"""The shop's book: orders, stock, payments and what the warehouse was told, in one SQLite file. Money is in cents.

Guarantee: what is done under an idempotency key is done once, however often it is asked for; a refused order takes nothing.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

PRICES = {"Notebook, dotted": 1290, "Fountain pen": 4900, "Desk lamp": 8900}
FIRST_STOCK = 100_000
PATIENCE = 30  # seconds to wait for another writer
TABLES = """
CREATE TABLE IF NOT EXISTS orders (
    number TEXT PRIMARY KEY, customer TEXT NOT NULL, email TEXT NOT NULL, item TEXT NOT NULL, quantity INTEGER NOT NULL,
    amount INTEGER NOT NULL, reason TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'handed over', 'refused')));
CREATE TABLE IF NOT EXISTS stock (item TEXT PRIMARY KEY, available INTEGER NOT NULL CHECK (available >= 0));
CREATE TABLE IF NOT EXISTS taken (
    idempotency_key TEXT PRIMARY KEY, number TEXT NOT NULL REFERENCES orders, item TEXT NOT NULL, quantity INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'taken' CHECK (state IN ('taken', 'given back')));
CREATE TABLE IF NOT EXISTS payments (
    idempotency_key TEXT PRIMARY KEY, number TEXT NOT NULL REFERENCES orders, amount INTEGER NOT NULL, card TEXT NOT NULL,
    asked INTEGER NOT NULL DEFAULT 1, state TEXT NOT NULL CHECK (state IN ('charged', 'refused', 'refunded')));
CREATE TABLE IF NOT EXISTS warehouse (number TEXT PRIMARY KEY REFERENCES orders, tracking TEXT NOT NULL);
"""


class Impossible(Exception):
    """What the shop cannot do; says why."""


def home() -> Path:
    """Where the demo keeps its things."""
    return Path(os.environ.get("RUNBOARD_HOME") or ".runboard") / "demo"


@contextmanager
def opened() -> Iterator[sqlite3.Connection]:
    """The book, in one transaction that is committed at the end."""
    home().mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(home() / "shop.sqlite3", timeout=PATIENCE, isolation_level=None)) as book:
        book.row_factory = sqlite3.Row
        book.execute("BEGIN IMMEDIATE")
        with book:
            for statement in TABLES.split(";"):
                book.execute(statement)
            book.executemany("INSERT OR IGNORE INTO stock VALUES (?, ?)", [(item, FIRST_STOCK) for item in PRICES])
            yield book


def order(book: sqlite3.Connection, number: str) -> dict[str, Any]:
    row = book.execute("SELECT * FROM orders WHERE number = ?", (number,)).fetchone()
    if row is None:
        raise Impossible(f"there is no order {number}")
    return dict(row)


def open_order(*, number: str, customer: str, email: str, item: str, quantity: int) -> int:
    """Writes an order into the book and says what it costs."""
    if item not in PRICES:
        raise Impossible(f"the shop has no “{item}”; it has {', '.join(PRICES)}")
    amount = PRICES[item] * quantity
    told = (number, customer, email, item, quantity, amount)
    with opened() as book:
        book.execute(
            "INSERT OR IGNORE INTO orders (number, customer, email, item, quantity, amount) VALUES (?, ?, ?, ?, ?, ?)",
            told,
        )
        return int(order(book, number)["amount"])


def take(number: str, *, key: str) -> dict[str, Any]:
    """Takes an order's items from the stock."""
    with opened() as book:
        wanted = order(book, number)
        if wanted["state"] != "open":
            raise Impossible(f"order {number} is {wanted['state']}")
        told = (key, number, wanted["item"], wanted["quantity"])
        done = book.execute(
            "INSERT OR IGNORE INTO taken (idempotency_key, number, item, quantity) VALUES (?, ?, ?, ?)", told
        )
        if done.rowcount:
            few = "UPDATE stock SET available = available - :n WHERE item = :item AND available >= :n"
            if not book.execute(few, {"n": wanted["quantity"], "item": wanted["item"]}).rowcount:
                raise Impossible(f"there are not {wanted['quantity']} of “{wanted['item']}” left")
        return {"item": wanted["item"], "quantity": wanted["quantity"]}


def hand_over(number: str, *, tracking: str) -> str:
    """Tells the warehouse, which packs each order once."""
    with opened() as book:
        if order(book, number)["state"] == "refused":
            raise Impossible(f"order {number} is refused")
        book.execute("INSERT OR IGNORE INTO warehouse VALUES (?, ?)", (number, tracking))
        book.execute("UPDATE orders SET state = 'handed over' WHERE number = ?", (number,))
        return str(order(book, number)["state"])


def refuse(number: str, *, reason: str) -> dict[str, int]:
    """Marks an order refused, gives back what it took and refunds what was paid, all at once."""
    with opened() as book:
        book.execute("UPDATE orders SET state = 'refused', reason = ? WHERE number = ?", (reason, number))
        back = "UPDATE taken SET state = 'given back' WHERE number = ? AND state = 'taken' RETURNING item, quantity"
        taken = book.execute(back, (number,)).fetchall()
        more = "UPDATE stock SET available = available + ? WHERE item = ?"
        book.executemany(more, [(row["quantity"], row["item"]) for row in taken])
        refund = "UPDATE payments SET state = 'refunded' WHERE number = ? AND state = 'charged' RETURNING amount"
        refunded = book.execute(refund, (number,)).fetchall()
        return {
            "given_back": sum(row["quantity"] for row in taken),
            "refunded": sum(row["amount"] for row in refunded),
        }
