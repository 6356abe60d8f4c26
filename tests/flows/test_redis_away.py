"""Redis freezes, or is killed: nothing is lost, no request hangs, and the board says how it keeps up meanwhile."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from playwright.sync_api import Page, expect

from tests.browser import card, column
from tests.services import House, until

T = TypeVar("T")
SLOWEST = 3.0  # seconds that a request may take


def test_everything_runs_while_redis_is_frozen_and_the_board_says_so(house: House, page: Page) -> None:
    status = page.locator("#live-status")
    with frozen(house, "redis"):
        expect(status).to_contain_text("Redis is away")
        submitted = [timed(lambda: house.submit("log-fountain", {"lines": 3})) for _ in range(3)]
        for path in ("/", "/executions/", f"/executions/{submitted[0]}/", "/workers/", "/readyz"):
            assert timed(partial(page.request.get, path)).ok
        for pk in submitted:
            house.reaches(pk, "completed")
            expect(column(page, "completed").locator(card(page, pk))).to_be_visible()
    expect(status).to_be_empty()

    pk = house.submit("log-fountain", {"lines": 3})
    expect(column(page, "completed").locator(card(page, pk))).to_be_visible()


def test_a_redis_that_is_killed_loses_nothing(house: House, page: Page) -> None:
    killed = house.kill("redis")
    pk = timed(lambda: house.submit("log-fountain", {"lines": 3}))
    house.is_back("redis", since=killed)
    house.reaches(pk, "completed")
    expect(column(page, "completed").locator(card(page, pk))).to_be_visible()
    until(lambda: house.ask("GET", "/readyz")[1] == {"database": "ok", "redis": "ok"})


def test_without_websockets_the_board_converges_by_asking(house: House, page: Page) -> None:
    page.route_web_socket("**/ws/**", lambda socket: socket.close())
    page.clock.install()
    page.reload()
    pk = house.submit("log-fountain", {"lines": 3})
    house.reaches(pk, "completed")
    page.clock.fast_forward("00:05")
    expect(page.locator("#live-status")).to_contain_text("paused")
    page.clock.fast_forward("00:10")
    expect(column(page, "completed").locator(card(page, pk))).to_be_visible()
    expect(page.locator("#live-status")).to_contain_text("every 10 s")


@contextmanager
def frozen(house: House, name: str) -> Iterator[None]:
    """A process that holds its sockets and never answers: worse than one that is gone."""
    pid = house.kill(name, by=signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def timed(act: Callable[[], T]) -> T:
    began = time.monotonic()
    said = act()
    assert time.monotonic() - began < SLOWEST
    return said
