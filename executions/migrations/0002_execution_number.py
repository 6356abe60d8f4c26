"""A sequence gives executions their number for people on PostgreSQL; SQLite counts under its write lock."""

from typing import Any

from django.db import migrations


def make(apps: Any, editor: Any) -> None:
    if editor.connection.vendor == "postgresql":
        editor.execute("CREATE SEQUENCE IF NOT EXISTS executions_number")


def drop(apps: Any, editor: Any) -> None:
    if editor.connection.vendor == "postgresql":
        editor.execute("DROP SEQUENCE IF EXISTS executions_number")


class Migration(migrations.Migration):
    dependencies = [("executions", "0001_first")]
    operations = [migrations.RunPython(make, drop)]
