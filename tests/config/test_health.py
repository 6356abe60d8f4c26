import json

import pytest
from django.db import OperationalError, connection
from django.http import HttpRequest
from django.test import Client

from config import health


def test_alive_is_answered_to_anyone_under_any_name(client: Client) -> None:
    assert client.get("/healthz", headers={"host": "10.1.2.3:8000"}).content == b"ok\n"


@pytest.mark.django_db
def test_a_house_without_redis_is_ready_and_says_so(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "redis_answers", lambda: False)
    response = client.get("/readyz", headers={"host": "10.1.2.3:8000"})
    assert (response.status_code, json.loads(response.content)) == (200, {"database": "ok", "redis": "away"})


@pytest.mark.django_db
def test_a_house_with_redis_says_so(client: Client, redis_url: str) -> None:
    assert json.loads(client.get("/readyz").content)["redis"] == "ok"


def test_a_house_without_its_database_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise OperationalError

    monkeypatch.setattr(connection, "cursor", away)
    monkeypatch.setattr(health, "redis_answers", lambda: True)
    response = health.readyz(HttpRequest())
    assert (response.status_code, json.loads(response.content)) == (503, {"database": "away", "redis": "ok"})
