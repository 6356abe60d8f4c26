import json
import sys
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from workers.drill import COUNT, SLUG, Drill, Held, Unfit

ASKS = """The drill will, in the house of {home}:
  - submit {count} executions of its own task, {slug}, and archive that task afterwards;
  - kill -9 its worker, which the supervisor brings back: whatever runs there loses its attempt and goes on;
  - {redis}.
"""


class Command(BaseCommand):
    help = (
        "Break this running house a little, and say which clauses of its promise held. Exit code 1 where one did not."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--yes", action="store_true", help="do not ask; empty a Redis that is not embedded too")
        parser.add_argument("--json", action="store_true", help="one JSON object a line")
        parser.add_argument("--count", type=int, default=COUNT, help=f"executions to submit ({COUNT})")

    def handle(self, *args: Any, **options: Any) -> None:
        empties = settings.REDIS_IS_OURS or options["yes"]
        if not options["yes"] and not self.may(options["count"], empties=empties):
            raise CommandError("Nothing was done.")
        drill = Drill(say=self.stderr.write, count=options["count"], empties_redis=empties)
        try:
            held = drill.run()
        except Unfit as unfit:
            raise CommandError(str(unfit)) from unfit
        for clause in held:
            self.stdout.write(json.dumps(asdict(clause), ensure_ascii=False) if options["json"] else row(clause))
        if not all(clause.holds for clause in held):
            sys.exit(1)

    def may(self, count: int, *, empties: bool) -> bool:
        """Say what will be done, and ask."""
        redis = (
            "empty its Redis (wake-ups alone)"
            if empties
            else "leave Redis alone, which is not embedded (--yes empties it)"
        )
        self.stderr.write(ASKS.format(home=settings.HOME, count=count, slug=SLUG, redis=redis))
        return input("Go on? [y/N] ").strip().lower() in ("y", "yes")


def row(held: Held) -> str:
    return f"{held.clause:<5}{'held' if held.holds else 'BROKE':<7}{held.says}: {held.evidence}"
