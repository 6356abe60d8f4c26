from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser

from tasks import access


class Command(BaseCommand):
    help = "Make an API token and print it, this once."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="what it is for, so that it can be found again")
        parser.add_argument("--user", default="admin", help="whose rights it carries (admin)")
        parser.add_argument(
            "--scope",
            default="read,submit,answer,cancel",
            help=f"comma-separated, of {', '.join(access.SCOPES)} (read,submit,answer,cancel)",
        )

    def handle(self, *args: Any, name: str, user: str, scope: str, **options: Any) -> None:
        try:
            secret = access.issue(name=name, user=user, scopes=[part.strip() for part in scope.split(",")])
        except access.NoSuchScope as error:
            raise CommandError(str(error)) from error
        except get_user_model().DoesNotExist as error:
            raise CommandError(f"There is no user {user}; make one with `manage.py createsuperuser`.") from error
        self.stdout.write(secret)
