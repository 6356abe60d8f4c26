"""Tables whose rows the database itself keeps as they were written: UPDATE and DELETE are refused by triggers.

Installed after every migration (SQLite's table rebuild drops triggers silently); a system check fails where one is
missing. Only `lifted()` lets a transaction through: on PostgreSQL by a transaction-local setting that the triggers read,
on SQLite, where DDL is transactional, by dropping and making them again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.apps import apps
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

TABLES: set[str] = set()

POSTGRESQL_REFUSE = """
CREATE OR REPLACE FUNCTION runboard_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('runboard.lifted', true) = 'on' THEN
    IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
    RETURN NEW;
  END IF;
  RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END $$
"""


def keep(*tables: str) -> None:
    """Declare tables append-only; called by the room that owns them when its app is ready."""
    TABLES.update(tables)


def install(using: str = "default", **_: Any) -> None:
    """Make the triggers of every declared table that exists (receiver of `post_migrate`)."""
    connection = connections[using]
    for table in sorted(TABLES & set(connection.introspection.table_names())):
        _install(connection, table)


def missing(using: str = "default") -> list[str]:
    """The declared tables that the database does not protect."""
    connection = connections[using]
    sql = (
        "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"
        if connection.vendor == "postgresql"
        else "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql)
        found = {row[0] for row in cursor.fetchall()}
    existing = TABLES & set(connection.introspection.table_names())
    return sorted(table for table in existing if not {_name(table, "update"), _name(table, "delete")} <= found)


@contextmanager
def lifted(using: str = "default") -> Iterator[None]:
    """Let this transaction change kept rows: for retention, and for emptying a test database."""
    connection = connections[using]
    with transaction.atomic(using=using), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL runboard.lifted = 'on'")
            yield
            cursor.execute("SET LOCAL runboard.lifted = 'off'")
        else:
            tables = sorted(TABLES & set(connection.introspection.table_names(cursor)))
            for table in tables:
                _drop(connection, table)
            yield
            for table in tables:
                _install(connection, table)


def _name(table: str, operation: str) -> str:
    return f"{table}_no_{operation}"


def _install(connection: BaseDatabaseWrapper, table: str) -> None:
    quoted = connection.ops.quote_name(table)
    _drop(connection, table)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(POSTGRESQL_REFUSE)
        for operation in ("update", "delete"):
            head = f"CREATE TRIGGER {_name(table, operation)} BEFORE {operation.upper()} ON {quoted} FOR EACH ROW"
            if connection.vendor == "postgresql":
                cursor.execute(f"{head} EXECUTE FUNCTION runboard_append_only()")
            else:
                refuse = f"SELECT RAISE(ABORT, '{table} is append-only: {operation.upper()} refused')"
                cursor.execute(f"{head} BEGIN {refuse}; END")


def _drop(connection: BaseDatabaseWrapper, table: str) -> None:
    suffix = f" ON {connection.ops.quote_name(table)}" if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        for operation in ("update", "delete"):
            cursor.execute(f"DROP TRIGGER IF EXISTS {_name(table, operation)}{suffix}")


def owned_by(app: str, *models: str) -> list[str]:
    """Table names of models, by their names: `owned_by("executions", "Event")`."""
    return [apps.get_model(app, model)._meta.db_table for model in models]
