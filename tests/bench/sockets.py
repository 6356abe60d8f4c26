"""Many sockets on one board: how late a change is, and what it costs the web server.

`python -m tests.bench.sockets [--sockets 200] [--rate 20] [--seconds 10]` starts a scratch house, changes cards through the
door at that rate, and prints JSON lines: milliseconds from commit to each socket, the web process's CPU milliseconds a
change, its memory a socket. Clients and changes share the machine with the server, so a figure is at best.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.services import House, start_house

TICKS = os.sysconf("SC_CLK_TCK")
CARDS = 20
SETTLED = 4.0  # seconds: a healing read later nothing may be missing


def main() -> None:
    asked = argparse.ArgumentParser()
    for name, default in (("sockets", 200), ("rate", 20), ("seconds", 10)):
        asked.add_argument(f"--{name}", type=int, default=default)
    said = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="runboard-bench-") as folder:
        house = start_house(Path(folder) / "home")
        try:
            house.wait_ready()
            for figure in asyncio.run(measured(house, said)):
                print(json.dumps({"sockets": said.sockets, "rate": said.rate, **figure}))
        finally:
            house.stop()


async def measured(house: House, said: argparse.Namespace) -> list[dict[str, Any]]:
    from websockets.asyncio.client import connect

    pid = house.pid("web")
    headers = {"Cookie": await asyncio.to_thread(cookie, house), "Origin": house.url}
    url = f"ws://{urlsplit(house.url).netloc}/ws/board/"
    sockets: list[Any] = []
    alone = 0.0
    for number in range(said.sockets + 1):
        sockets.append(await connect(url, additional_headers=headers, compression=None, max_queue=256))
        if number == 0:  # what the first one costs, every house has paid
            await asyncio.sleep(SETTLED)
            alone = memory(pid)
    seen: list[dict[str, float]] = [{} for _ in sockets]
    listening = [asyncio.create_task(listen(socket, into)) for socket, into in zip(sockets, seen, strict=True)]
    await asyncio.sleep(SETTLED)
    full, began = memory(pid), cpu(pid)
    committed = await asyncio.to_thread(change, house, said.rate, said.seconds)
    await asyncio.sleep(SETTLED)
    spent = cpu(pid) - began
    for task in listening:
        task.cancel()
    late = sorted((into[key] - at) * 1000 for into in seen for key, at in committed.items() if key in into)
    newest: dict[str, int] = {}
    for key in committed:
        pk, _, version = key.rpartition("@")
        newest[pk] = max(newest.get(pk, 0), int(version))
    behind = sum(f"{pk}@{version}" not in into for into in seen for pk, version in newest.items())
    return [
        {"measure": "change to socket", "unit": "ms", "n": len(late), "p50": part(late, 0.5), "p95": part(late, 0.95),
         "p99": part(late, 0.99)},
        {"measure": "web CPU a change", "unit": "ms", "value": round(spent * 1000 / len(committed), 2), "n": len(committed)},
        {"measure": "memory a socket", "unit": "KiB", "value": round((full - alone) / said.sockets)},
        {"measure": "cards out of date at the end", "unit": "", "value": behind},
    ]  # fmt: skip


async def listen(socket: Any, into: dict[str, float]) -> None:
    async for text in socket:
        now = time.time()
        for card in json.loads(text).get("cards", ()):
            into.setdefault(f"{card['id']}@{card['version']}", now)


def change(house: House, rate: int, seconds: int) -> dict[str, float]:
    """In a process of the house: cards report progress; when each revision was committed."""
    call = f"from tests.bench.changes import main; main({rate}, {seconds}, {CARDS})"
    committed: dict[str, float] = json.loads(house.manage("shell", "--no-imports", "-c", call).splitlines()[-1])
    return committed


def cookie(house: House) -> str:
    """A session of the admin's."""
    script = (
        "from django.test import Client; from django.contrib.auth.models import User; c = Client();"
        "c.force_login(User.objects.get(username='admin')); print(c.cookies['sessionid'].value)"
    )
    return f"sessionid={house.manage('shell', '--no-imports', '-c', script).splitlines()[-1]}"


def cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory(pid: int) -> float:
    """Resident KiB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024


def part(ordered: list[float], share: float) -> float:
    return round(statistics.quantiles(ordered, n=100, method="inclusive")[round(share * 100) - 1], 1)


if __name__ == "__main__":
    main()
