"""Tables whose rows the database itself keeps as they were written: UPDATE and DELETE are refused by triggers, and so is
SQLite's INSERT OR REPLACE, which is a delete that calls no trigger.

Installed after every migration (SQLite's table rebuild drops triggers silently); a system check fails where one is
missing. Only `lifted()` lets a transaction through: on PostgreSQL by a transaction-local setting that the triggers read,
on SQLite, where DDL is transactional, by dropping and making them again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.apps import apps
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model, UniqueConstraint

TABLES: set[str] = set()
QUOTED, NEW = r'"(\w+)"', r'NEW."\1"'

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
    operations = ("update", "delete") if connection.vendor == "postgresql" else ("update", "delete", "replace")
    return sorted(table for table in existing if not {_name(table, operation) for operation in operations} <= found)


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
        if connection.vendor != "postgresql":
            cursor.execute(_no_replace(connection, table))


def _no_replace(connection: BaseDatabaseWrapper, table: str) -> str:
    """A row that stands where a new one would is not replaced: by its key, or by what is unique of it."""
    model = next(model for model in apps.get_models() if model._meta.db_table == table)
    taken = " OR ".join(f"EXISTS (SELECT 1 FROM {table} WHERE {same})" for same in _sames(connection, model))
    refuse = f"SELECT RAISE(ABORT, '{table} is append-only: REPLACE refused')"
    return f"CREATE TRIGGER {_name(table, 'replace')} BEFORE INSERT ON {table} FOR EACH ROW WHEN {taken} BEGIN {refuse}; END"


def _sames(connection: BaseDatabaseWrapper, model: type[Model]) -> Iterator[str]:
    """When a row and a new one cannot both stand, as SQL."""
    columns = {field.name: field.column for field in model._meta.concrete_fields}
    yield "id = NEW.id"
    for found in model._meta.constraints:
        if not isinstance(found, UniqueConstraint):
            continue
        same = " AND ".join(f"{columns[name]} = NEW.{columns[name]}" for name in found.fields)
        where = found._get_condition_sql(model, connection.schema_editor())  # type: ignore[attr-defined]
        yield same if where is None else f"{same} AND {where} AND {re.sub(QUOTED, NEW, where)}"


def _drop(connection: BaseDatabaseWrapper, table: str) -> None:
    suffix = f" ON {connection.ops.quote_name(table)}" if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        for operation in ("update", "delete", "replace"):
            cursor.execute(f"DROP TRIGGER IF EXISTS {_name(table, operation)}{suffix}")


def owned_by(app: str, *models: str) -> list[str]:
    """Table names of models, by their names: `owned_by("executions", "Event")`."""
    return [apps.get_model(app, model)._meta.db_table for model in models]
