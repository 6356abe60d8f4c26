"""What an execution's own page hears."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from executions import transitions
from executions.realtime import push
from executions.states import State
from tests.executions.realtime.conftest import Window, done
from tests.make import bring, make_execution

pytestmark = pytest.mark.django_db(transaction=True)
Open = Callable[..., Awaitable[Window]]


def say(claim: Any, *lines: str) -> None:
    told = [(time.time(), "stdout", "", line) for line in lines]
    transitions.log(claim, lines=told, message=None, now=timezone.now())


async def test_it_begins_with_how_things_stand(mira: User, promptly: None, open_window: Open) -> None:
    execution = await done(make_execution)()
    window = await open_window(mira, f"/ws/executions/{execution.pk}/")
    frame = await window.hears(lambda frame: True)
    assert frame["execution"] == {"id": str(execution.pk), "version": 1, "last_line": 0, "state": "pending"}
    assert frame["cursor"]


async def test_its_changes_come_and_no_others(mira: User, promptly: None, open_window: Open) -> None:
    other, execution = await done(make_execution)(), await done(make_execution)()
    window = await open_window(mira, f"/ws/executions/{execution.pk}/")
    await window.hears(lambda frame: True)
    await done(bring)(other, State.CANCELLED)
    await done(bring)(execution, State.CANCELLED)
    await window.hears(lambda frame: "execution" in frame and frame["execution"]["state"] == "cancelled")
    assert {frame["execution"]["id"] for frame in window.frames if "execution" in frame} == {str(execution.pk)}
    assert not any("cards" in frame for frame in window.frames)


@pytest.mark.parametrize("announced", [True, False])
async def test_its_log_grows_without_a_new_version(
    announced: bool, mira: User, promptly: None, open_window: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = await done(make_execution)()
    claim = await done(bring)(execution, State.RUNNING)
    if not announced:
        monkeypatch.setattr(push.push, "hand", lambda news: None)
    window = await open_window(mira, f"/ws/executions/{execution.pk}/")
    version = (await window.hears(lambda frame: "execution" in frame))["execution"]["version"]
    await done(say)(claim, "one", "two")
    frame = await window.hears(lambda frame: "execution" in frame and frame["execution"]["last_line"] == 2)
    assert frame["execution"]["version"] == version


async def test_a_talkative_log_is_told_of_four_times_a_second(mira: User, promptly: None, open_window: Open) -> None:
    execution = await done(make_execution)()
    claim = await done(bring)(execution, State.RUNNING)
    window = await open_window(mira, f"/ws/executions/{execution.pk}/")
    began = time.monotonic()
    for _ in range(40):
        await done(say)(claim, "again")
    await window.hears(lambda frame: "execution" in frame and frame["execution"]["last_line"] == 40)
    told = sum("execution" in frame for frame in window.frames)
    assert told <= 3 + (time.monotonic() - began) / 0.25


async def test_its_log_does_not_move_the_board(mira: User, promptly: None, open_window: Open) -> None:
    execution = await done(make_execution)()
    claim = await done(bring)(execution, State.RUNNING)
    board = await open_window(mira)
    await board.hears_of(f"execution-{execution.pk}")
    page = await open_window(mira, f"/ws/executions/{execution.pk}/")
    await done(say)(claim, "one")
    await page.hears(lambda frame: "execution" in frame and frame["execution"]["last_line"] == 1)
    await done(bring)(await done(make_execution)(), State.CANCELLED)
    await board.hears(lambda frame: frame.get("gone"))
    assert sum(bool(board.about(frame, f"execution-{execution.pk}")) for frame in board.frames) == 1
