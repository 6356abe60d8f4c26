"""F4 and F5: Redis killed and emptied under load, and Redis frozen while people look at the board."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from workers.bench.figure import spread
from workers.chaos.faults import thaw
from workers.chaos.finding import Finding
from workers.chaos.houses import Broken, broken
from workers.chaos.load import Load
from workers.chaos.storm import judge, settle

START = 5.0  # seconds from submit to claim, p99
LONGEST_REQUEST = 3.0
LIVE = 5.0  # seconds in which a change must stand in a browser, by polling
LOOKS = 0.5


def killed(database: str, *, times: int) -> Iterator[Finding]:
    """F4: kill -9 and back without what it held, as soon as it is back."""
    began = time.monotonic()
    with broken(database, more=False) as house:
        load = Load(house.house, seed=times, mix={"chaos-plain": (1, {"seconds": 0.02})}, at_once=4)
        load.begin()
        for _ in range(times):
            house.redis("FLUSHALL")
            since = house.house.kill("redis")
            house.house.is_back("redis", since=since)
            time.sleep(LOOKS)
        load.submit_no_more()
        rest = settle(house, load)
        load.end()
        found = judge(house, load)
        found.broke += [f"stuck: {pk} is {state}" for pk, state in rest.items()]
        ends = house.ask_inside("judged", list(load.accepted))["ends"].values()
    figure = spread("F4", database, [end["started_at"] - end["created_at"] for end in ends], unit="s")
    if (figure.p99 or 0.0) > START:
        found.add("F4", f"start p99 {figure.p99} s")
    told = f"0 lost, start p50 {figure.p50} s, p99 {figure.p99} s" if not rest else f"{len(rest)} lost"
    yield Finding("F4", database, found.n, times, f"0 lost, start p99 ≤ {START:g} s", told,
                  round(time.monotonic() - began, 1), broke=found.broke)  # fmt: skip


def frozen(database: str, *, seconds: float) -> Iterator[Finding]:
    """F5: SIGSTOP. Pages and the API are asked all the while, and a socket looks at the board."""
    began = time.monotonic()
    with broken(database, more=False) as house:
        load = Load(house.house, seed=1)
        watcher = Watcher(house)
        watcher.begin()
        _ = house.house.token  # a command makes it: that is no request
        pid = house.house.pid("redis")
        os.kill(pid, signal.SIGSTOP)
        slowest = 0.0
        try:
            limit = time.monotonic() + seconds
            while time.monotonic() < limit:
                slowest = max(slowest, _page(house, watcher.cookie), _timed(lambda: load.submit("chaos-plain", {})))
                time.sleep(LOOKS)
        finally:
            thaw(pid)
        rest = settle(house, load)
        watcher.end()
        found = judge(house, load)
        found.broke += [f"stuck: {pk} is {state}" for pk, state in rest.items()]
        ends = house.ask_inside("judged", list(load.accepted))["ends"]
    shown = [watcher.seen[pk] - end["created_at"] for pk, end in ends.items() if pk in watcher.seen]
    figure = spread("F5", database, shown or [0.0], unit="s")
    if len(shown) < len(ends) or max(shown) > LIVE:
        found.add("F5", f"{len(shown)} of {len(ends)} stood on the board, at most {max(shown, default=0):.1f} s late")
    if slowest > LONGEST_REQUEST:
        found.add("F5", f"a request took {slowest:.1f} s")
    told = f"slowest request {slowest:.2f} s; on the board p50 {figure.p50} s, at most {max(shown, default=0):.1f} s"
    yield Finding("F5", database, found.n, 1, f"no request over {LONGEST_REQUEST:g} s, the board stays live", told,
                  round(time.monotonic() - began, 1), broke=found.broke)  # fmt: skip


def _timed(do: Any) -> float:
    began = time.monotonic()
    do()
    return time.monotonic() - began


def _page(house: Broken, cookie: str) -> float:
    """Seconds that the board's page takes; it must be the board."""
    began = time.monotonic()
    status, _ = house.house.ask("GET", "/", headers={"Cookie": cookie})
    if status != HTTPStatus.OK:
        raise AssertionError(f"the board answered {status}")
    return time.monotonic() - began


@dataclass
class Watcher:
    """A browser that only looks: `seen` is when each card first came through its socket."""

    broken: Broken
    seen: dict[str, float] = field(default_factory=dict)

    def begin(self) -> None:
        from websockets.sync.client import connect

        self.cookie = f"sessionid={self.broken.ask_inside('session', None)}"
        house = self.broken.house
        self._socket = connect(
            f"ws://{urlsplit(house.url).netloc}/ws/board/",
            additional_headers={"Cookie": self.cookie, "Origin": house.url},
        )
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._socket.close()
        self._thread.join()

    def _look(self) -> None:
        from websockets.exceptions import ConnectionClosed

        with contextlib.suppress(ConnectionClosed):
            for text in self._socket:
                now = time.time()
                for card in json.loads(text).get("cards", ()):
                    self.seen.setdefault(str(card["id"]).removeprefix("execution-"), now)
