import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from workers.chaos.finding import Finding, table
from workers.chaos.houses import DATABASES
from workers.chaos.measures import MEASURES, Amount


class Command(BaseCommand):
    help = "Break houses made for it, and say which clauses of the promise held. Never yours: see `drill` for that."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("measures", nargs="*", help=f"of {', '.join(MEASURES)}; all of them where none is named")
        parser.add_argument("--database", choices=DATABASES, action="append", help="on this one alone")
        parser.add_argument("--seconds", type=float, default=180.0, help="of faults, a seed of F2 (180)")
        parser.add_argument("--seeds", type=int, default=10, help="of F2 (10), counted from --seed")
        parser.add_argument("--seed", type=int, default=1, help="the first one (1)")
        parser.add_argument("--repeats", type=int, default=20, help="kills at each failpoint (20)")
        parser.add_argument("--executions", type=int, default=2000, help="of F7 (2000)")
        parser.add_argument("--json", action="store_true", help="JSON lines alone, no table")
        parser.add_argument("--inside", help="what a chaos run asks of its own houses")
        parser.add_argument("--argument", type=Path, help="a file with what is asked about")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["inside"]:
            self.stdout.write(json.dumps(inside(options["inside"], options["argument"]), default=str))
            return
        found = []
        for finding in measured(options):
            self.stdout.write(finding.as_json())
            self.stdout.flush()
            found.append(finding)
        if not options["json"]:
            self.stdout.write("\n" + table(found))
        if not all(finding.holds for finding in found):
            sys.exit(1)


def inside(what: str, argument: Path) -> Any:
    from workers.chaos import proof

    return proof.ASKED[what](json.loads(argument.read_text()))


def measured(options: dict[str, Any]) -> Iterator[Finding]:
    if unknown := set(options["measures"]) - set(MEASURES):
        sys.exit(f"There is no measure {', '.join(sorted(unknown))}; there are {', '.join(MEASURES)}.")
    amount = Amount(options["seconds"], options["seeds"], options["seed"], options["repeats"], options["executions"])
    for name in options["measures"] or MEASURES:
        for database in options["database"] or DATABASES:
            yield from MEASURES[name](database, amount)
