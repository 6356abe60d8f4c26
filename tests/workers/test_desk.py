"""The desk: ends that come together are committed together, and no slot waits for that."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone

from executions.models import new_id
from executions.transitions import Began, Claim, Finished, Refused
from workers.desk import Desk


def finished() -> Finished:
    claim = Claim(new_id(), 1, 1, "w1", 1)
    return Finished(claim, Began("s", "in_process", "helper", "", timezone.now()), "null")


def never() -> None:
    raise AssertionError("it was told together")


def test_what_comes_during_a_commit_is_committed_together() -> None:
    first, go_on, groups = threading.Event(), threading.Event(), []

    def commit(group: Sequence[Finished]) -> list[UUID]:
        groups.append(len(group))
        first.set()
        go_on.wait(10)
        return [one.claim.execution_id for one in group]

    desk = Desk(commit)
    desk.hand_in(finished(), otherwise=never)
    assert first.wait(10)
    for _ in range(5):
        desk.hand_in(finished(), otherwise=never)
    assert not desk.wait_empty(0)
    go_on.set()
    assert desk.wait_empty(10)
    assert groups == [1, 5]


def test_what_cannot_be_told_together_is_told_by_itself() -> None:
    told: list[str] = []

    def refused() -> None:
        told.append("refused")
        raise Refused("somebody else has it")

    desk = Desk(lambda _: [])
    desk.hand_in(finished(), otherwise=refused)
    desk.hand_in(finished(), otherwise=lambda: told.append("told"))
    assert desk.wait_empty(10)
    assert told == ["refused", "told"]


def test_a_commit_that_fails_leaves_the_desk_open(caplog: pytest.LogCaptureFixture) -> None:
    answers: list[Any] = [RuntimeError("the database is gone"), None]

    def commit(group: Sequence[Finished]) -> list[UUID]:
        if answer := answers.pop(0):
            raise answer
        return [one.claim.execution_id for one in group]

    desk = Desk(commit)
    for _ in range(2):
        desk.hand_in(finished(), otherwise=never)
        assert desk.wait_empty(10)
    assert answers == []
    assert "could not be told" in caplog.text
