import re
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from executions.history import anchors, pruning

UNITS = {"d": "days", "h": "hours", "w": "weeks"}


class Command(BaseCommand):
    help = "Remove executions that ended long ago, whole families at a time, and leave a signed tombstone of each."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--older-than", metavar="AGE", help="90d, 12h, 4w (RUNBOARD_RETENTION_DAYS)")
        parser.add_argument("--dry-run", action="store_true", help="only say what would go")
        parser.add_argument("--unverified", action="store_true", help="also what does not verify, which else is kept")

    def handle(self, *args: Any, older_than: str | None, dry_run: bool, unverified: bool, **options: Any) -> None:
        now, age = timezone.now(), settings.RETENTION if older_than is None else age_of(older_than)
        if not age and older_than is None:
            self.stdout.write(
                "RUNBOARD_RETENTION_DAYS is 0: everything is kept. Say --older-than to prune all the same."
            )
            return
        if not dry_run:
            anchors.make(now)  # whoever removes a tombstone later is found by it
        gone = kept = 0
        for found in pruning.old(before=now - age):
            if not (found.sound or unverified):
                kept += 1
                self.stderr.write(f"{found.pk} is kept: its history does not verify (manage.py verify_history)")
            elif dry_run or pruning.prune(found.pk, why=why(found, older_than), now=now):
                gone += 1
        self.stdout.write(sentence(gone, kept, dry_run=dry_run))


def age_of(said: str) -> timedelta:
    match = re.fullmatch(r"([0-9]{1,5})([dhw]?)", said)
    if match is None:
        raise CommandError(f"“{said}” is no age: say 90d, 12h or 4w.")
    return timedelta(**{UNITS[match[2] or "d"]: int(match[1])})


def why(found: pruning.Old, older_than: str | None) -> str:
    told = "retention" if older_than is None else f"prune --older-than {older_than}"
    return told if found.sound else f"{told}, its history did not verify"


def sentence(gone: int, kept: int, *, dry_run: bool) -> str:
    if not gone and not kept:
        return "Nothing is old enough to go."
    told = f"{'Would prune' if dry_run else 'Pruned'} {gone:,} execution{'' if gone == 1 else 's'}"
    told += "." if dry_run else ", and left a tombstone of each."
    return f"{told} Kept {kept:,} whose history does not verify." if kept else told
