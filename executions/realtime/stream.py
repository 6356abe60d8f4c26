"""How a change travels from the process that made it to the web servers: one small entry of a capped Redis stream.

An entry says which card changed and its revision; no HTML and no log text passes through Redis. It may be lost, doubled
or late, for who reads it compares revisions and heals from the database.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast
from uuid import UUID

from redis import Redis
from redis import asyncio as redis_asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry

STREAM = "runboard:changes"
CAPACITY = 10_000  # entries; Redis trims to about as many
PATIENCE = 2.0  # seconds for any answer: a frozen Redis is found out by this
BLOCK = 1000  # ms; must stay below PATIENCE, or a quiet stream looks like a dead Redis

MOST_READ = 1000  # entries at once

Entry = dict[Any, Any]
IDS: dict[str, Callable[[str], UUID | int]] = {"execution": UUID, "plan": int}


@dataclass(frozen=True, slots=True)
class News:
    """An execution or a plan has this revision now. `shows` is False where only its log grew, which no card shows."""

    about: str  # "execution" | "plan"
    id: str
    revision: int
    state: str = ""
    last_line: int = 0
    shows: bool = True

    @property
    def element(self) -> str:
        """The id of its card in a page."""
        return f"{self.about}-{self.id}"

    def joined(self, other: News) -> News:
        """Both told as one: the newer revision, the longer log."""
        newer = other if other.revision >= self.revision else self
        return replace(newer, last_line=max(self.last_line, other.last_line), shows=self.shows or other.shows)

    def entry(self) -> Entry:
        """What the stream keeps of it."""
        told = {"about": self.about, "id": self.id, "revision": self.revision}
        return {**told, "state": self.state, "last_line": self.last_line, "shows": int(self.shows)}


def read(entry: Mapping[bytes, bytes]) -> News | None:
    """What an entry says; None where another program wrote it."""
    try:
        about, pk = entry[b"about"].decode(), entry[b"id"].decode()
        return News(
            about=about,
            id=str(IDS[about](pk)),
            revision=int(entry[b"revision"]),
            state=entry[b"state"].decode(),
            last_line=int(entry[b"last_line"]),
            shows=entry[b"shows"] == b"1",
        )
    except (KeyError, ValueError):
        return None


async def end(client: redis_asyncio.Redis) -> bytes:
    """The position of the newest entry."""
    found: list[tuple[bytes, Any]] = cast(Any, await client.xrevrange(STREAM, count=1))
    return found[0][0] if found else b"0-0"


async def after(client: redis_asyncio.Redis, position: bytes) -> tuple[bytes, list[News]]:
    """What was added after a position, waited for up to BLOCK, and the position of the last of it."""
    found: list[Any] = cast(Any, await client.xread({STREAM: position}, block=BLOCK, count=MOST_READ))
    entries: list[tuple[bytes, dict[bytes, bytes]]] = found[0][1] if found else []
    news = [told for _, entry in entries if (told := read(entry))]
    return (entries[-1][0] if entries else position), news


def connect(url: str) -> Redis:
    """A client that gives up soon and never tries twice: its caller knows what else to do."""
    return Redis.from_url(url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE, retry=Retry(NoBackoff(), 0))


def connect_async(url: str) -> redis_asyncio.Redis:
    return redis_asyncio.Redis.from_url(
        url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE, retry=redis_asyncio.retry.Retry(NoBackoff(), 0)
    )
