import argparse
import socket
import warnings
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from workers import presence
from workers.supervisor import pulse

# Celery warns of pickle, which we refuse, and of a setting that we have set.
NEEDLESS = ["You're running the worker with superuser privileges", r"\s*In Celery 5\.1 we introduced"]


class Command(BaseCommand):
    help = "Run executions: claim what is due on its queues, as many at a time as it has slots."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--name", default=socket.gethostname(), help="its name: one living worker each")
        parser.add_argument("--queues", type=names, default=[], help="comma-separated; without it, every queue")
        parser.add_argument("--slots", type=slots, default=4, help="executions at a time (4; keep to 4 on SQLite)")
        parser.add_argument("--labels", type=labels, default={}, help="comma-separated key=value that it offers")

    def handle(self, *args: Any, **options: Any) -> None:
        pulse.start()
        for message in NEEDLESS:
            warnings.filterwarnings("ignore", message=message)
        presence.work(name=options["name"], queues=options["queues"], slots=options["slots"], labels=options["labels"])


def names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def slots(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a number from 1, not {text!r}")
    return int(text)


def labels(text: str) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in names(text)]
    if wrong := [key for key, equals, value in pairs if not (key and equals and value)]:
        raise argparse.ArgumentTypeError(f"key=value, not {wrong[0]!r}")
    return {key: value for key, _, value in pairs}
