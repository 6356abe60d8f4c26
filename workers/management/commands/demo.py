from typing import Any

from django.core.management.base import BaseCommand

from tasks import manifest


class Command(BaseCommand):
    help = "Load the demo tasks and plan them."

    def handle(self, *args: Any, **options: Any) -> None:
        manifest.load_demo()
