"""The JSON API as a program outside uses it: a token, a path under /api/v1/, JSON in and out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tasks import access

NOTHING = object()


@dataclass
class Answer:
    """What came back."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def places(self) -> list[str]:
        """Where a problem says that something is wrong."""
        return [error["pointer"] for error in self.body["errors"]]


@dataclass
class Api:
    """A client with a token, or without."""

    secret: str = ""
    client: Client = field(default_factory=Client)

    def __call__(
        self, method: str, path: str, value: Any = NOTHING, *, raw: bytes | None = None, **headers: str
    ) -> Answer:
        body = raw if raw is not None else b"" if value is NOTHING else json.dumps(value).encode()
        kind = headers.pop("Content_Type", "application/json" if body else "")
        sent = {name.replace("_", "-"): text for name, text in headers.items()}
        if self.secret:
            sent.setdefault("Authorization", f"Bearer {self.secret}")
        url = path if path.startswith(("/", "http")) else f"/api/v1/{path}"
        response = self.client.generic(method, url, body, content_type=kind, headers=sent)
        is_json = response.content and "json" in response.headers.get("Content-Type", "")
        return Answer(response.status_code, json.loads(response.content) if is_json else None, response.headers)

    def get(self, path: str) -> Any:
        answer = self("GET", path)
        assert answer.status == 200, answer.body
        return answer.body

    def all(self, path: str) -> list[Any]:
        """Every row of a list, page by page."""
        rows: list[Any] = []
        following: str | None = path
        while following:
            page = self.get(following)
            rows += page["results"]
            following = page["next"]
        return rows


def api_for(user: User, *scopes: str) -> Api:
    return Api(access.issue(name="test", user=user.get_username(), scopes=scopes or access.SCOPES))


@pytest.fixture
def api(boss: User) -> Api:
    """An admin with every scope."""
    return api_for(boss)
