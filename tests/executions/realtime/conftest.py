"""Windows: what a browser's page hears through a real socket application, with a real Redis between."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, ParamSpec, TypeVar

import pytest
import pytest_asyncio
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import User
from django.test import Client

from config.asgi import application
from executions.realtime import frames, hub, push

P = ParamSpec("P")
T = TypeVar("T")
PATIENCE = 10
ORIGIN = (b"origin", b"http://localhost")


def done(act: Callable[P, T]) -> Callable[P, Awaitable[T]]:
    """Something done to the house from an async test, as another thread of it does."""
    return frames.in_thread(act)


class Window:
    """One socket, and everything it was told."""

    def __init__(self, path: str, *headers: tuple[bytes, bytes]) -> None:
        self.socket = WebsocketCommunicator(application, path, headers=[(b"host", b"localhost"), *headers])
        self.frames: list[dict[str, Any]] = []

    async def opens(self) -> bool:
        connected, _ = await self.socket.connect(timeout=PATIENCE)
        return bool(connected)

    async def hears(self, told: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """The first frame from now on of which `told` is true."""
        async with asyncio.timeout(PATIENCE):
            while True:
                frame: dict[str, Any] = json.loads(await self.socket.receive_from(timeout=PATIENCE))
                self.frames.append(frame)
                if told(frame):
                    return frame

    async def hears_of(self, element: str, *, version: int = 0) -> dict[str, Any]:
        """The card, the plan or the `gone` of this element, at this version or a newer one."""
        frame = await self.hears(lambda frame: self.about(frame, element, version))
        return self.about(frame, element, version)[0]

    def about(self, frame: dict[str, Any], element: str, version: int = 0) -> list[dict[str, Any]]:
        told = [*frame.get("cards", []), *frame.get("plans", []), *frame.get("gone", [])]
        return [each for each in told if each["id"] == element and (each["version"] or 0) >= version]

    async def closes(self) -> int:
        """The code it is closed with."""
        async with asyncio.timeout(PATIENCE):
            while (message := await self.socket.receive_output(timeout=PATIENCE))["type"] != "websocket.close":
                pass
        return int(message["code"])

    async def close(self) -> None:
        await self.socket.disconnect(timeout=PATIENCE)


async def hub_rests() -> None:
    """Its last socket has left: it closes what it opened."""
    ending = [task for task in asyncio.all_tasks() if task.get_name().startswith("hub_")]
    if ending:
        await asyncio.wait(ending, timeout=PATIENCE)
    assert all(task.done() for task in ending)


def cookie_of(user: User) -> tuple[bytes, bytes]:
    browser = Client()
    browser.force_login(user)
    return (b"cookie", f"sessionid={browser.cookies['sessionid'].value}".encode())


@pytest_asyncio.fixture
async def open_window() -> AsyncIterator[Callable[..., Awaitable[Window]]]:
    """Opens sockets as somebody: `await open_window(mira)`, or with a cursor, or on an execution."""
    opened: list[Window] = []

    async def open_one(user: User | None, path: str = "/ws/board/", *, origin: tuple[bytes, bytes] = ORIGIN) -> Window:
        headers = [origin, *([await done(cookie_of)(user)] if user else [])]
        window = Window(path, *headers)
        opened.append(window)
        assert await window.opens()
        return window

    yield open_one
    for window in opened:
        await window.close()
    await hub_rests()


@pytest.fixture
def promptly(redis: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Announcements go out at once, whatever earlier tests did to Redis."""
    monkeypatch.setattr(push, "push", push.Push())
    monkeypatch.setattr(hub, "HEAL_EVERY", 0.3)  # a test waits for ten of them
