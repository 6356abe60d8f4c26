import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser


class Command(BaseCommand):
    help = "Say what of the house is running, and where."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="as {url, processes: [{name, pid, state, restarts}]}")

    def handle(self, *args: Any, **options: Any) -> None:
        status = read(settings.HOME / "status.json")
        self.stdout.write(json.dumps(status) if options["json"] else "\n".join(table(status)))


def read(path: Path) -> dict[str, Any]:
    """What the supervisor wrote last; a process that has gone since, with its supervisor, is said to be stopped."""
    try:
        status: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise CommandError(f"No house has run in {path.parent}; start one with `make run`.") from error
    for process in status["processes"]:
        if process["pid"] and not lives(process["pid"]):
            process |= {"pid": None, "state": "stopped"}
    return status


def lives(pid: int) -> bool:
    """Whether there is such a process; one that has ended and that nobody has taken note of yet (Z) is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def table(status: dict[str, Any]) -> list[str]:
    row = "{name:<12}{state:<12}{pid:<10}{restarts}".format
    head = row(name="process", state="state", pid="pid", restarts="restarts")
    return [status["url"], head, *(row(**{**process, "pid": process["pid"] or "–"}) for process in status["processes"])]
