"""What a worker says of the ground it stands on, asked of a real Redis."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from redis import Redis

from executions import queries
from workers import checkup

pytestmark = pytest.mark.django_db


@pytest.fixture
def server(redis: Redis) -> Iterator[Redis]:
    yield redis
    redis.config_set("maxmemory-policy", "noeviction")


def test_on_good_ground_nothing_is_said(server: Redis) -> None:
    assert list(checkup.problems()) == []


def test_a_redis_that_throws_keys_away_is_named(server: Redis) -> None:
    server.config_set("maxmemory-policy", "allkeys-lru")
    [problem] = checkup.problems()
    assert "maxmemory-policy allkeys-lru" in problem


def test_a_redis_that_is_away_is_no_problem(settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1"  # where nobody listens
    assert list(checkup.problems()) == []


def test_a_clock_that_differs_from_the_database_is_told(server: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "present", lambda: timezone.now() + timedelta(seconds=90))
    found = list(checkup.problems())
    assert ("90.0 s" in found[0]) if connection.vendor == "postgresql" else found == []


def test_shared_memory_that_is_missing_is_told(server: Redis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(checkup, "SHARED", tmp_path / "shm")
    assert "/dev/shm" in next(iter(checkup.problems()))
