import os
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Run the whole house: Redis, web, worker and scheduler, kept alive until Ctrl-C."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        """manage.py starts the supervisor before Django is loaded; called in any other way, this process becomes it."""
        os.execv(sys.executable, [sys.executable, str(settings.BASE_DIR / "manage.py"), "up"])  # noqa: S606
