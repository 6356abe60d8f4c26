import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from executions.history import anchors
from executions.history.verifying import Tally, Verification
from executions.models import Execution, Tombstone


class Command(BaseCommand):
    help = "Say whether histories are what was written: seals, order, fold, anchors, tombstones. Exit code 1 where not."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--execution", metavar="ID", help="only this one: its id, or its number (EX-1042)")
        parser.add_argument("--since", metavar="DATE", help="only what changed since a day or moment (UTC)")
        parser.add_argument("--anchor", action="store_true", help="sign an anchor first, as the scheduler does daily")
        parser.add_argument("--json", action="store_true", help="one JSON object a line")

    def handle(self, *args: Any, execution: str | None, since: str | None, anchor: bool, **options: Any) -> None:
        look = Verification(
            only=None if execution is None else the_one(execution), since=None if since is None else moment(since)
        )
        if anchor:
            anchors.make(timezone.now())
        wrong = self.tell(look, as_json=options["json"])
        self.stdout.write(json.dumps(closing(look.tally, wrong)) if options["json"] else sentence(look.tally, wrong))
        if wrong:
            sys.exit(1)

    def tell(self, look: Verification, *, as_json: bool) -> int:
        """Print findings as they are found; how many there were."""
        wrong = 0
        look.progress = self.progress(look.rows().count()) if self.stderr.isatty() else None
        for found in look.findings():
            wrong += 1
            self.stdout.write(json.dumps(asdict(found), ensure_ascii=False) if as_json else str(found))
        return wrong

    def progress(self, total: int) -> Callable[[int], None]:
        """A line of progress, where a person looks on."""

        def say(done: int) -> None:
            end = "\n" if done >= total else "\r"
            self.stderr.write(f"{done:,} of {total:,} executions", ending=end)

        return say


def the_one(said: str) -> UUID:
    """The id of an execution, there or pruned."""
    number = said.upper().removeprefix("EX-")
    if number.isdigit():
        of_number = {"number": int(number)}
        found = [
            model.objects.filter(**of_number).values_list("pk", flat=True).first() for model in (Execution, Tombstone)
        ]
        known = next((pk for pk in found if pk is not None), None)
    else:
        try:
            known = UUID(said)
        except ValueError:
            raise CommandError(f"“{said}” is neither an id nor a number (EX-1042).") from None
        if not any(model.objects.filter(pk=known).exists() for model in (Execution, Tombstone)):
            known = None
    if known is None:
        raise CommandError(f"There is no execution {said}, and no tombstone of it.")
    return known


def moment(said: str) -> datetime:
    try:
        day, exact = parse_date(said), parse_datetime(said)
    except ValueError:
        day = exact = None
    if exact is None and day is not None:
        exact = datetime(day.year, day.month, day.day, tzinfo=UTC)
    if exact is None:
        raise CommandError(f"“{said}” is no day (2026-11-21) and no moment (2026-11-21T08:00:00Z).")
    return exact if exact.tzinfo else exact.replace(tzinfo=UTC)


def closing(tally: Tally, wrong: int) -> dict[str, Any]:
    return {"verified": asdict(tally), "findings": wrong}


def sentence(tally: Tally, wrong: int) -> str:
    """What was looked at, and how it is."""
    looked = [
        counted(tally.executions, "execution"),
        counted(tally.events, "event"),
        counted(tally.anchors, "anchor"),
        counted(tally.tombstones, "tombstone"),
    ]
    if not (tally.executions or tally.anchors or tally.tombstones):
        return "There is nothing to verify: no execution matches, or none was ever submitted."
    told = f"Verified {', '.join(looked[:-1])} and {looked[-1]}: "
    told += f"{counted(wrong, 'finding')}." if wrong else "nothing is wrong."
    if tally.unsealed:
        told += (
            f" {counted(tally.unsealed, 'execution')} began before histories were sealed: an anchor holds that part."
        )
    if tally.last_anchor:
        told += f" The last anchor is {tally.last_anchor}; keep it elsewhere to know it again."
    return told


def counted(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"
