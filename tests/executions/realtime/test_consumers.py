"""Who is let in, and who is let go: every refusal has its code."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session

from executions.realtime import consumers, hub
from tests.executions.realtime.conftest import ORIGIN, Window, cookie_of, done, hub_rests
from tests.make import make_execution

pytestmark = pytest.mark.django_db(transaction=True)
Open = Callable[..., Awaitable[Window]]
ADDRESSES = ["/ws/board/", "/ws/executions/00000000-0000-4000-8000-000000000000/"]


@pytest.mark.parametrize("path", ADDRESSES)
async def test_nobody_hears_nothing(path: str, open_window: Open) -> None:
    window = await open_window(None, path)
    assert await window.socket.receive_output(timeout=10) == {"type": "websocket.close", "code": 4401}


@pytest.mark.parametrize("path", ADDRESSES)
@pytest.mark.parametrize(
    "headers", [[(b"origin", b"http://elsewhere.example")], [(b"origin", b"null")], [(b"origin", b"")], []]
)
async def test_a_foreign_page_or_none_is_refused(
    path: str, headers: list[tuple[bytes, bytes]], mira: User, promptly: None
) -> None:
    window = Window(path, await done(cookie_of)(mira), *headers)
    assert not await window.opens()


async def test_another_address_is_refused() -> None:
    assert not await Window("/ws/elsewhere/", ORIGIN).opens()


async def test_an_unknown_execution_is_said_to_be_so(mira: User, promptly: None, open_window: Open) -> None:
    window = await open_window(mira, f"/ws/executions/{uuid4()}/")
    assert await window.closes() == 4404


def withdraw(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def sign_out(user: User) -> None:
    Session.objects.all().delete()


@pytest.mark.parametrize(("loss", "code"), [(withdraw, 4403), (sign_out, 4401)])
async def test_who_loses_the_right_to_look_is_let_go(
    loss: Callable[[User], None],
    code: int,
    mira: User,
    promptly: None,
    open_window: Open,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(consumers, "ASK_EVERY", 0.05)
    window = await open_window(mira)
    await window.hears(lambda frame: True)
    await done(loss)(mira)
    assert await window.closes() == code


async def test_an_oversize_message_ends_the_socket(mira: User, promptly: None, open_window: Open) -> None:
    window = await open_window(mira)
    await window.socket.send_to(text_data="x" * 4097)
    assert await window.closes() == 1009


@pytest.mark.parametrize("message", ["{", '{"subscribe": "everything"}', "\x00", "[" * 4000])
async def test_garbage_is_ignored_up_to_a_measure(message: str, mira: User, promptly: None, open_window: Open) -> None:
    window = await open_window(mira)
    for _ in range(consumers.MOST_MESSAGES):
        await window.socket.send_to(text_data=message)
    execution = await done(make_execution)()
    await window.hears_of(f"execution-{execution.pk}")
    await window.socket.send_to(bytes_data=b"\xff")
    assert await window.closes() == 1008


async def test_a_page_that_does_not_read_is_let_go(
    mira: User, promptly: None, open_window: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "SEND_PATIENCE", 0.05)
    stuck = asyncio.Event()

    async def send(self: consumers.LiveConsumer, text_data: str) -> None:
        await stuck.wait()

    window = await open_window(mira)
    await window.hears(lambda frame: True)
    monkeypatch.setattr(consumers.LiveConsumer, "send", send)
    assert await window.closes() == 4008


async def test_the_hub_ends_with_its_last_socket(mira: User, promptly: None, open_window: Open) -> None:
    window = await open_window(mira)
    await window.hears(lambda frame: True)
    assert len([task for task in asyncio.all_tasks() if task.get_name().startswith("hub_")]) == 4
    await window.close()
    await hub_rests()
    assert not hub.Hub.here()._tasks
