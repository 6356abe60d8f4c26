import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from workers.bench.figure import Figure, table
from workers.bench.idle import idle
from workers.bench.scratch import House, postgresql, start_house

WHAT = ("engine", "executor", "board")
INSIDE = (*WHAT, "throughput", "claims")
SETTLED = 10.0  # seconds a house is left alone before it counts as idle


class Command(BaseCommand):
    help = "Measure this machine: every figure in a scratch house of its own, never in yours."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("what", choices=INSIDE, metavar="|".join(WHAT))
        parser.add_argument("--json", action="store_true", help="JSON lines alone, no table")
        parser.add_argument(
            "--inside", action="store_true", help="measure in this very house (what the bench runs for itself)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["inside"]:
            for figure in inside(options["what"]):
                self.stdout.write(figure.as_json())
            return
        found = []
        for figure in measured(options["what"]):
            self.stdout.write(figure.as_json())
            self.stdout.flush()
            found.append(figure)
        if not options["json"]:
            self.stdout.write("\n" + table(found))


def measured(what: str) -> Iterator[Figure]:
    """On DATABASE_URL's server alone where it is set, else on SQLite and on a private PostgreSQL."""
    with ExitStack() as stack:
        urls = (
            [os.environ["DATABASE_URL"]]
            if os.environ.get("DATABASE_URL")
            else ["", stack.enter_context(postgresql(durable=True))]
        )
        for url in urls if what != "executor" else urls[:1]:  # sandboxes know no database
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="runboard-bench-"))
            yield from in_scratch(what, Path(folder) / "home", database="postgresql" if url else "sqlite", url=url)


def in_scratch(what: str, home: Path, *, database: str, url: str) -> Iterator[Figure]:
    more = {"RUNBOARD_ACTIONS": "workers.bench.actions", **({"DATABASE_URL": url} if url else {})}
    with standing(home, more) as first:
        if what in ("executor", "board"):
            yield from by_child(first, what)
            return
    if what == "engine":
        yield from settled(home, more, database)
    with standing(home, {**more, "RUNBOARD_SLOTS": "2"}) as two_slots:
        yield from by_child(two_slots, "throughput")
    if what == "engine":
        yield from by_child(two_slots, "claims")  # the house stands still, its database does not


def settled(home: Path, more: dict[str, str], database: str) -> Iterator[Figure]:
    """What a house that was started before takes, and how quickly it answers."""
    with standing(home, more) as second:
        yield Figure("start, second", database, "s", value=round(second.ready_after, 2), limit="≤ 2")
        yield from costs(second, database=database)
        yield from by_child(second, "engine")


@contextmanager
def standing(home: Path, settings: dict[str, str]) -> Iterator[House]:
    running = start_house(home, **settings)
    try:
        running.wait_ready()
        yield running
    finally:
        running.stop()


def costs(running: House, *, database: str) -> Iterator[Figure]:
    """What an idle house takes."""
    time.sleep(SETTLED)
    memory, cpu = idle(running.processes())
    yield Figure("L14 memory (PSS)", database, "MiB", value=round(memory), limit="≤ 400")
    yield Figure("L14 CPU", database, "%", value=round(cpu, 1), limit="≤ 3")


def by_child(running: House, what: str) -> Iterator[Figure]:
    """Settings are read once a process, so what looks inside a house is a process of that house."""
    command = [sys.executable, "manage.py", "bench", what, "--inside"]
    with subprocess.Popen(command, env=running.environment, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            yield Figure(**json.loads(line))
    if child.returncode:
        sys.exit(f"the bench ended with {child.returncode}; the lines above say why")


def inside(what: str) -> Iterator[Figure]:
    from workers.bench import board, claims, engine, executor, throughput

    if what == "claims":
        return claims.figures()
    if what == "throughput":
        return throughput.figures()
    if what == "board":
        return board.figures(json.loads((settings.HOME / "status.json").read_text())["url"])
    return engine.figures() if what == "engine" else executor.figures()
