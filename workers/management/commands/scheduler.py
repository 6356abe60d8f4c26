from typing import Any

from django.core.management.base import BaseCommand

from workers import scheduler
from workers.supervisor import pulse


class Command(BaseCommand):
    help = "Sweep, reap and fire timers. Any number of copies may run."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        pulse.start()
        scheduler.run()
