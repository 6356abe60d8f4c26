"""UPDATE … RETURNING: change rows and have them back in one statement, which both databases can and the ORM cannot yet.

And the plain INSERT of rows that nobody needs back: `bulk_create` costs several times as much, and this is on the way of
every claim.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.models.sql import UpdateQuery

M = TypeVar("M", bound=models.Model)


def update_returning(
    rows: models.QuerySet[M], changes: Mapping[str, Any], *, fields: Sequence[str], **extra: str
) -> list[M]:
    """Update `rows` and return them as they are now, with `fields` loaded and the others deferred.

    `extra` are further columns as SQL, by the attribute they become; they may name the table's columns.
    """
    rows._for_write = True  # type: ignore[attr-defined]
    query = rows.query.chain(UpdateQuery)
    query.add_update_values(dict(changes))  # type: ignore[attr-defined]
    query.clear_ordering(force=True)
    connection = connections[rows.db]
    sql, params = query.get_compiler(connection=connection).as_sql()
    if not sql:
        return []
    quote, table = connection.ops.quote_name, rows.model._meta.db_table
    columns = [f"{quote(table)}.{quote(column)}" for column in _columns(rows.model, fields)]
    columns += [f"{text} AS {quote(name)}" for name, text in extra.items()]
    return list(rows.model._base_manager.using(rows.db).raw(f"{sql} RETURNING {', '.join(columns)}", params))


def insert(rows: Sequence[models.Model]) -> None:
    """Write new rows of one model in one statement; they do not learn their ids."""
    if not rows:
        return
    meta = rows[0]._meta
    fields = [field for field in meta.concrete_fields if not isinstance(field, models.AutoField)]
    connection = connections[DEFAULT_DB_ALIAS]
    names = ", ".join(connection.ops.quote_name(str(field.column)) for field in fields)
    marks = ", ".join([f"({', '.join(['%s'] * len(fields))})"] * len(rows))
    values = [field.get_db_prep_save(getattr(row, field.attname), connection) for row in rows for field in fields]
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {connection.ops.quote_name(meta.db_table)} ({names}) VALUES {marks}", values)
    for row in rows:
        row._state.adding, row._state.db = False, connection.alias


def _columns(model: type[models.Model], fields: Sequence[str]) -> list[str]:
    found = {field.name: field.column for field in model._meta.concrete_fields}
    return [str(found[name]) for name in fields]
