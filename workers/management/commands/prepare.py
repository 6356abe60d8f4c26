import os
import secrets
import string
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.checks import Tags
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from tasks import manifest

ADMIN = "admin"
UNKNOWN = "unchanged"  # printed where this house did not make the user, and so does not know the password


class Command(BaseCommand):
    help = "What `up` does before anyone works: migrations and, at the first start, the first user and the demo."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        migrate()
        self.check(tags=[Tags.database], databases=[connection.alias])
        first_start = not get_user_model().objects.exists()
        settle_password(settings.HOME / "admin-password")
        if first_start:
            manifest.load_demo()


def migrate() -> None:
    """Only where there is something to do: asking is ten times faster than `migrate` with nothing to do."""
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        call_command("migrate", interactive=False, verbosity=0)


def settle_password(path: Path) -> None:
    """Keep the first user's password beside the database, for its owner's eyes; make the user where it is missing."""
    users = get_user_model().objects
    user = users.filter(username=ADMIN).first()
    if user is None:
        password = settings.ADMIN_PASSWORD or kept(path) or made_up()
        keep(path, password)
        users.create_superuser(username=ADMIN, password=password)
    elif settings.ADMIN_PASSWORD not in {"", kept(path)}:
        keep(path, settings.ADMIN_PASSWORD)
        user.set_password(settings.ADMIN_PASSWORD)
        user.save(update_fields=["password"])
    elif not kept(path):
        keep(path, UNKNOWN)


def made_up() -> str:
    """95 bits, of letters and digits alone: it is typed, copied and passed on command lines."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(16))


def kept(path: Path) -> str:
    return path.read_text().strip() if path.exists() else ""


def keep(path: Path, password: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:  # noqa: PTH123
        file.write(password + "\n")
