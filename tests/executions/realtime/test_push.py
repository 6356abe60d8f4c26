"""From a commit to the stream: never in the way of a request, never more than it can hold."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction

from executions.realtime import push, stream
from executions.realtime.news import News, read
from executions.states import State
from tests.make import bring, make_execution, make_plan
from tests.services import redis_server, until


def news(number: int = 1, **changes: Any) -> News:
    return News(about="plan", id=str(number), **{"revision": 1, **changes})


def entries(redis: Any) -> list[News]:
    found = [read(entry) for _, entry in redis.xrange(stream.STREAM)]
    assert None not in found
    return [told for told in found if told]


def test_news_come_through_the_stream_as_they_were(redis: Any) -> None:
    told = news(revision=3, state="running", last_line=7, shows=False)
    push.Push().hand(told)
    assert until(lambda: entries(redis)) == [told]


@pytest.mark.parametrize(
    "entry",
    [{}, {b"about": b"plan"}, {**news().entry(), "id": "1; DROP"}, {**news().entry(), "about": "worker"},
     {**news().entry(), "revision": "many"}, {**news().entry(), "id": b"\xff"}],
)  # fmt: skip
def test_what_another_program_wrote_is_passed_over(entry: dict[Any, Any]) -> None:
    raw = {name if isinstance(name, bytes) else name.encode(): value for name, value in entry.items()}
    assert read({name: v if isinstance(v, bytes) else str(v).encode() for name, v in raw.items()}) is None


def test_what_waits_is_told_once_a_card(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = push.Push()
    monkeypatch.setattr(waiting, "_start", lambda: None)
    waiting.hand(news(revision=2, last_line=5))
    waiting.hand(news(revision=1, last_line=9, shows=False))
    waiting.hand(news(2))
    assert waiting._take() == [news(revision=2, last_line=9), news(2)]


def test_the_queue_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push, "MOST_WAITING", 3)
    waiting = push.Push()
    monkeypatch.setattr(waiting, "_start", lambda: None)
    for number in range(10):
        waiting.hand(news(number))
    waiting.hand(news(0, revision=2))
    assert [(told.id, told.revision) for told in waiting._take()] == [("0", 2), ("1", 1), ("2", 1)]


def test_the_stream_is_capped(redis: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "CAPACITY", 100)
    waiting = push.Push()
    for number in range(2000):
        waiting.hand(news(number))
    until(lambda: [told for told in entries(redis) if told.id == "1999"])
    assert redis.xlen(stream.STREAM) < 400


@pytest.mark.parametrize("fault", [signal.SIGSTOP, signal.SIGKILL])
def test_without_redis_nothing_waits_and_nothing_piles_up(
    tmp_path_factory: pytest.TempPathFactory, settings: Any, monkeypatch: pytest.MonkeyPatch, fault: signal.Signals
) -> None:
    monkeypatch.setattr(stream, "PATIENCE", 0.3)
    monkeypatch.setattr(push, "BREAK", 0.3)
    path = Path(str(tmp_path_factory.mktemp("r"))) / "redis.sock"
    settings.REDIS_URL = f"unix://{path}"
    waiting = push.Push()
    with redis_server(path) as server, stream.connect(settings.REDIS_URL) as redis:
        waiting.hand(news())
        until(lambda: redis.xlen(stream.STREAM) == 1)
        server.send_signal(fault)
        began = time.monotonic()
        for number in range(1000):
            waiting.hand(news(number))
        assert time.monotonic() - began < 1
        until(lambda: waiting._broken_until > 0, what="it does not notice")
        assert not waiting._waiting
        if fault == signal.SIGKILL:
            return
        server.send_signal(signal.SIGCONT)

        def is_back() -> bool:
            waiting.hand(news(5000))
            return not waiting._broken_until

        until(is_back, what="it does not come back")


class TestCommits:
    """What the verbs say is handed on, after the commit and not before."""

    pytestmark = pytest.mark.django_db(transaction=True)

    @pytest.fixture
    def handed(self, monkeypatch: pytest.MonkeyPatch) -> list[News]:
        told: list[News] = []
        monkeypatch.setattr(push.push, "hand", told.append)
        return told

    def test_an_execution_and_its_plan(self, handed: list[News]) -> None:
        plan = make_plan()
        execution = make_execution(plan.task, plan=plan)
        assert [(told.element, told.revision) for told in handed] == [
            (f"plan-{plan.pk}", 1),
            (f"plan-{plan.pk}", 2),
            (f"execution-{execution.pk}", 1),
        ]

    def test_nothing_before_the_commit(self, handed: list[News]) -> None:
        with transaction.atomic():
            make_execution()
            assert handed == []
        assert handed

    def test_every_change_of_a_card_is_told_with_its_revision(self, handed: list[News]) -> None:
        execution = make_execution()
        bring(execution, State.COMPLETED)
        execution.refresh_from_db()
        told = [each for each in handed if each.about == "execution"]
        assert [each.revision for each in told] == list(range(1, execution.revision + 1))
        assert told[-1].state == "completed"
