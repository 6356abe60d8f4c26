"""What a board's page hears, and that it hears it whatever becomes of announcements."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.utils import timezone

from executions import transitions
from executions.board import fragments
from executions.realtime import frames, hub, push
from executions.states import State
from tasks import planning
from tests.executions.realtime.conftest import Window, done
from tests.make import bring, make_execution, make_plan, make_task

pytestmark = pytest.mark.django_db(transaction=True)
Open = Callable[..., Awaitable[Window]]


async def test_a_change_comes_as_the_card_itself(mira: User, promptly: None, open_window: Open) -> None:
    window = await open_window(mira)
    execution = await done(make_execution)(title="Count the sheep")
    card = await window.hears_of(f"execution-{execution.pk}")
    assert (card["version"], card["column"]) == (1, "pending")
    assert "Count the sheep" in card["html"]
    assert f'id="execution-{execution.pk}"' in card["html"]


async def test_counts_and_open_questions_come_along(mira: User, promptly: None, open_window: Open) -> None:
    window = await open_window(mira)
    await done(make_execution)(state=State.WAITING)
    counts = {"planning": 0, "pending": 0, "running": 1, "completed": 0, "failed": 0}
    await window.hears(lambda frame: (frame.get("counts"), frame.get("questions")) == (counts, 1))


async def test_what_leaves_the_board_is_gone(mira: User, promptly: None, open_window: Open) -> None:
    execution = await done(make_execution)()
    window = await open_window(mira)
    await done(bring)(execution, State.CANCELLED)
    gone = await window.hears_of(f"execution-{execution.pk}", version=2)
    assert "html" not in gone


async def test_an_earlier_run_leaves_the_board_when_its_work_is_run_again(
    mira: User, promptly: None, open_window: Open
) -> None:
    old = await done(make_execution)(state=State.FAILED)
    window = await open_window(mira)
    await done(transitions.rerun)(old.pk, again=transitions.Again(), now=timezone.now(), actor="user:mira")
    frame = await window.hears(lambda frame: window.about(frame, f"execution-{old.pk}", old.revision + 1))
    assert "html" not in window.about(frame, f"execution-{old.pk}")[0]
    assert frame["counts"]["failed"] == 0


async def test_plans_come_move_and_go(mira: User, promptly: None, open_window: Open) -> None:
    window = await open_window(mira)
    plan = await done(make_plan)()
    card = await window.hears_of(f"plan-{plan.pk}")
    assert card["position"] == plan.position
    await done(make_execution)(plan=plan)
    gone = await window.hears_of(f"plan-{plan.pk}", version=2)
    assert "html" not in gone
    await done(planning.take_back)(plan.pk, now=timezone.now())
    assert "html" in await window.hears_of(f"plan-{plan.pk}", version=3)


async def test_every_window_hears_the_same_text(mira: User, boss: User, promptly: None, open_window: Open) -> None:
    first, second = await open_window(mira), await open_window(boss)
    execution = await done(make_execution)()
    seen = [await window.hears_of(f"execution-{execution.pk}") for window in (first, second)]
    assert seen[0] == seen[1]


async def test_a_page_is_told_what_it_missed(mira: User, promptly: None, open_window: Open) -> None:
    cursor = frames.cursor(timezone.now())
    task = await done(make_task)()
    execution, plan = await done(make_execution)(task), await done(make_plan)(task)
    window = await open_window(mira, f"/ws/board/?since={cursor}")
    first = await window.hears(lambda frame: True)
    assert window.about(first, f"execution-{execution.pk}")
    assert window.about(first, f"plan-{plan.pk}")
    assert first["cursor"] > cursor


@pytest.mark.parametrize("cursor", ["2001-01-01T00:00:00.000000Z", "2101-01-01T00:00:00Z", "yesterday", "%00"])
async def test_a_cursor_that_leads_nowhere_means_fetch_again(
    cursor: str, mira: User, promptly: None, open_window: Open
) -> None:
    window = await open_window(mira, f"/ws/board/?since={cursor}")
    assert (await window.hears(lambda frame: True))["reset"]


async def test_a_page_that_missed_too_much_fetches_itself_again(
    mira: User, promptly: None, open_window: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "MOST_REPLAYED", 1)
    for _ in range(2):
        await done(make_execution)()
    window = await open_window(mira, f"/ws/board/?since={frames.cursor(timezone.now())}")
    assert (await window.hears(lambda frame: True))["reset"]


async def test_a_commit_that_comes_late_is_replayed_too(mira: User, promptly: None, open_window: Open) -> None:
    execution = await done(make_execution)()
    window = await open_window(mira, f"/ws/board/?since={frames.cursor(timezone.now() + timedelta(seconds=20))}")
    assert window.about(await window.hears(lambda frame: True), f"execution-{execution.pk}")


@pytest.mark.parametrize("share", [0.3, 1.0])
async def test_lost_announcements_heal_from_the_database(
    share: float, mira: User, promptly: None, open_window: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice, hand = random.Random(3), push.push.hand
    monkeypatch.setattr(push.push, "hand", lambda news: None if dice.random() < share else hand(news))
    window = await open_window(mira)
    made = {f"execution-{(await done(make_execution)()).pk}" for _ in range(20)}
    seen: set[str] = set()
    while not made <= seen:
        frame = await window.hears(lambda frame: frame.get("cards"))
        seen |= {card["id"] for card in frame["cards"]}


async def test_a_card_is_sent_once_a_version(mira: User, promptly: None, open_window: Open) -> None:
    """The healing read finds it again and again; the hub remembers what it sent."""
    window = await open_window(mira)
    execution = await done(make_execution)()
    await window.hears_of(f"execution-{execution.pk}")
    await heals(window)
    await heals(window)
    told = [card for frame in window.frames for card in window.about(frame, f"execution-{execution.pk}")]
    assert len(told) == 1


async def heals(window: Window) -> None:
    before = window.frames[-1]["cursor"]
    await window.hears(lambda frame: frame.get("cursor", "") > before)


async def test_the_reason_changes_without_the_card(mira: User, promptly: None, open_window: Open) -> None:
    window = await open_window(mira)
    execution = await done(make_execution)()
    pk = str(execution.pk)
    await window.hears(lambda frame: frame.get("why", {}).get(pk, {}).get("code") == "no_worker")
    await done(transitions.enlist)("w1", host="here", pid=1, slots=1, queues=["default"], offers=["python"],
                                   labels={}, sandbox="bwrap", sandbox_problem="", now=timezone.now())  # fmt: skip
    frame = await window.hears(lambda frame: frame.get("why", {}).get(pk, {}).get("code") == "next")
    assert frame["why"][pk] == {
        "version": 1, "code": "next", "sentence": "Starts in a moment.", "act": False, "due": "",
    }  # fmt: skip


async def test_a_flood_asks_every_page_to_fetch_itself(
    mira: User, promptly: None, open_window: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "MOST_DIRTY", 5)
    monkeypatch.setattr(push.push, "hand", lambda news: None)
    window = await open_window(mira)
    task = await done(make_task)()
    for _ in range(10):
        await done(make_execution)(task)
    await window.hears(lambda frame: frame.get("reset"))


async def test_many_changes_of_one_card_are_one_frame(mira: User, promptly: None, open_window: Open) -> None:
    window = await open_window(mira)

    def hurry() -> Any:
        execution = make_execution()
        for _ in range(10):
            claim = bring(execution, State.RUNNING)
            transitions.release(claim, now=timezone.now()) if claim else None
        execution.refresh_from_db()
        return execution

    execution = await done(hurry)()
    await window.hears_of(f"execution-{execution.pk}", version=execution.revision)
    told = [card for frame in window.frames for card in window.about(frame, f"execution-{execution.pk}")]
    assert len(told) < execution.revision / 2


async def test_a_card_that_cannot_be_drawn_holds_back_no_other(
    mira: User, promptly: None, open_window: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw: Callable[[Any, Any], str] = fragments.card

    def fail(execution: Any, why: Any) -> str:
        if execution.title == "Poison":
            raise ValueError(execution.title)
        return draw(execution, why)

    monkeypatch.setattr(fragments, "card", fail)
    window = await open_window(mira)
    task = await done(make_task)()
    await done(make_execution)(task, title="Poison")
    execution = await done(make_execution)(task)
    await window.hears_of(f"execution-{execution.pk}")


async def test_a_database_that_does_not_answer_is_said(
    mira: User, promptly: None, open_window: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = await open_window(mira)
    await window.hears(lambda frame: frame.get("cursor"))
    with monkeypatch.context() as blind:
        blind.setattr(frames, "_changed", blind_to)
        await window.hears(lambda frame: "does not answer" in frame.get("degraded", ""))
    await window.hears(lambda frame: frame.get("degraded") == "")


def blind_to(*_: Any, **__: Any) -> None:
    raise OperationalError("no answer")
