"""How a change travels from the process that made it to the web servers: one small entry of a capped Redis stream.

An entry says which card changed and its revision; no HTML and no log text passes through Redis. It may be lost, doubled
or late, for who reads it compares revisions and heals from the database.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from redis import Redis, RedisError
from redis import asyncio as redis_asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry

from executions.realtime.news import News, read

STREAM = "runboard:changes"
CAPACITY = 10_000  # entries; Redis trims to about as many
PATIENCE = 2.0  # seconds for any answer: a frozen Redis is found out by this
BLOCK = 1000  # ms; must stay below PATIENCE, or a quiet stream looks like a dead Redis

MOST_READ = 1000  # entries at once

AWAY = (RedisError, OSError)  # what Redis answers when it does not


def add(client: Redis, batch: Iterable[News]) -> None:
    """Tell them all, in one round trip."""
    pipeline = client.pipeline(transaction=False)
    for news in batch:
        pipeline.xadd(STREAM, news.entry(), maxlen=CAPACITY, approximate=True)
    pipeline.execute()


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
