"""manage.py sandbox_doctor: can this machine sandbox, and what keeps it from it? Exit code 0 when it can, else 1."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from workers.runtimes import Probe, probe


class Command(BaseCommand):
    """Tries a real sandbox and prints what it found."""

    help = "Tries a real sandbox on this machine and says what it keeps in, or what is missing and how to mend it."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        found = probe(fresh=True)
        for line in report(found):
            self.stdout.write(line)
        if not found.ok:
            raise CommandError(found.problem, returncode=1)


def report(found: Probe) -> list[str]:
    """What a probe found, a line each."""
    lines = [_line(bool(found.version), f"{found.driver} {found.version or 'is not installed'}")]
    if found.python:
        lines.append(_line(True, f"Python for authors: {found.python}"))
    lines += [_line(finding.ok, finding.name) for finding in found.findings]
    if found.ok:
        lines.append(_line(True, f"memory is limited by {found.memory}"))
        lines.append(f"A sandbox stood, ran and was gone in {found.milliseconds:.0f} ms.")
    return lines


def _line(ok: bool, words: str) -> str:
    return f"{'✓' if ok else '✗'} {words}"
