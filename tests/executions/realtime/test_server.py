"""With a real web server: clients that stall, and a Redis that is frozen or dead."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPCookieProcessor, build_opener

import pytest
import uvicorn
from django.contrib.auth.models import User
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from config.asgi import application
from executions.realtime.hub import Hub
from tests.executions.realtime.conftest import cookie_of, done, hub_rests
from tests.services import House, free_port, until

A_REQUEST = 3.0  # seconds that none may take, whatever Redis does


@pytest.mark.django_db(transaction=True)
async def test_a_stalled_client_is_closed_and_the_others_go_on(mira: User, promptly: None) -> None:
    config = uvicorn.Config(
        application, port=free_port(), lifespan="off", log_config=None, ws_per_message_deflate=False
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    headers = {"Cookie": (await done(cookie_of)(mira))[1].decode(), "Origin": "http://localhost"}
    url = f"ws://127.0.0.1:{config.port}/ws/board/"
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    small.connect(("127.0.0.1", config.port))
    async with (
        connect_async(url, additional_headers=headers, sock=small, max_queue=1) as stalled,
        connect_async(url, additional_headers=headers) as lively,
    ):
        await asyncio.gather(stalled.recv(), lively.recv())
        heard = asyncio.create_task(drain(lively))
        for _ in range(200):
            Hub.here()._broadcast({"filler": "x" * 100_000})
            await asyncio.sleep(0.001)
        await drain(stalled)
        assert stalled.close_code == 4008
        Hub.here()._broadcast({"end": True})
        assert await asyncio.wait_for(heard, 30) >= 200
    await hub_rests()
    server.should_exit = True
    await asyncio.wait_for(serving, 10)


async def drain(client: object) -> int:
    """Read all; how many frames there were until it was closed, or told that this is the end."""
    number = 0
    try:
        async with asyncio.timeout(30):
            while "end" not in json.loads(await client.recv()):  # type: ignore[attr-defined]
                number += 1
    except ConnectionClosed:
        pass
    return number


class Person:
    """Signed in to a house: pages by HTTP, and a socket that hears the board."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.cookies = CookieJar()
        self.browser = build_opener(HTTPCookieProcessor(self.cookies))
        self.get("/accounts/login/")
        token = next(cookie.value for cookie in self.cookies if cookie.name == "csrftoken")
        said = {"username": house.user, "password": house.password, "csrfmiddlewaretoken": token}
        self.browser.open(f"{house.url}/accounts/login/", urlencode(said).encode(), timeout=10).read()

    def get(self, path: str) -> float:
        """How many seconds the page took."""
        began = time.monotonic()
        self.browser.open(self.house.url + path, timeout=30).read()
        return time.monotonic() - began

    @contextmanager
    def listening(self) -> Iterator[ClientConnection]:
        headers = {"Cookie": "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.cookies)}
        url = f"ws://{urlsplit(self.house.url).netloc}/ws/board/"
        with connect(url, additional_headers=headers, origin=Origin(self.house.url)) as client:
            yield client


def hears(client: ClientConnection, told: Callable[[dict[str, object]], bool], *, within: float) -> float:
    """After how many seconds it is told."""
    began = time.monotonic()
    while True:
        left = within - (time.monotonic() - began)
        assert left > 0, "it was not told"
        if told(json.loads(client.recv(timeout=left))):
            return time.monotonic() - began


def about(pk: str) -> Callable[[dict[str, object]], bool]:
    return lambda frame: f"execution-{pk}" in json.dumps(frame.get("cards", []))


@pytest.mark.parametrize("fault", [signal.SIGSTOP, signal.SIGKILL])
def test_without_redis_boards_poll_and_no_request_waits(house: House, fault: signal.Signals) -> None:
    person = Person(house)
    with person.listening() as client:
        hears(client, lambda frame: "cursor" in frame, within=10)
        redis = house.kill("redis", by=fault)
        try:
            if fault == signal.SIGSTOP:
                hears(client, lambda frame: "Redis is away" in str(frame.get("degraded")), within=10)
            began = time.monotonic()
            submitted = house.submit("log-fountain", {"lines": 1})
            assert time.monotonic() - began < A_REQUEST
            hears(client, about(submitted), within=10)
            assert max(person.get(path) for path in ("/", "/executions/", f"/executions/{submitted}/")) < A_REQUEST
        finally:
            if fault == signal.SIGSTOP:
                house.kill("redis", by=signal.SIGCONT)
            else:
                house.is_back("redis", since=redis)
        if fault == signal.SIGSTOP:
            hears(client, lambda frame: frame.get("degraded") == "", within=20)
        until(lambda: house.execution(submitted)["state"] == "completed", within=30)
