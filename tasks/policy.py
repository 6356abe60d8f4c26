"""What a task may use and how it is tried again: frozen values, read from a task's JSON and refused by name when wrong.

Shapes are those of the contract (`docs/tasks.md`). Sizes are bytes, durations seconds, `cpu` is a share of one core.
Pure: no model, no clock, no settings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, Self

from tasks.sdk.canonical import encode

SIZE = re.compile(r"(\d{1,12})\s*(Ki|Mi|Gi)?")
UNITS = {None: 1, "": 1, "Ki": 1024, "Mi": 1024**2, "Gi": 1024**3}
LONGEST_WORD = 200
HOST = re.compile(r"[A-Za-z0-9.-]{1,253}:\d{1,5}")


class Unacceptable(ValueError):
    """A member of a policy that cannot be; says which (`pointer`, RFC 6901) and why."""

    def __init__(self, pointer: str, message: str) -> None:
        super().__init__(f"{pointer}: {message}")
        self.pointer, self.message = pointer, message


class Level(StrEnum):
    """How far user code is kept away from the host; a method may be stricter than asked, never laxer."""

    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Tries again after errors the author calls retryable. delay n = interval × multiplier^n (n from 0), capped, jittered."""

    max_retries: int = 3
    retry_interval: float = 2.0
    backoff_multiplier: float = 2.0
    max_interval: float = 300.0
    jitter: float = 0.2
    retryable_errors: tuple[str, ...] = ()

    @classmethod
    def read(cls, value: Mapping[str, Any] | None) -> Self:
        read = _Reader(value, "/retry", cls)
        return cls(
            max_retries=int(read.number("max_retries", 3, low=0, high=1000, whole=True)),
            retry_interval=read.number("retry_interval", 2.0, low=0, high=86_400),
            backoff_multiplier=read.number("backoff_multiplier", 2.0, low=1, high=100),
            max_interval=read.number("max_interval", 300.0, low=0, high=7 * 86_400),
            jitter=read.number("jitter", 0.2, low=0, high=1),
            retryable_errors=read.words("retryable_errors"),
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """What one attempt may use. `cpu` is a guaranteed share that may burst; `cpu_max` a hard quota or None."""

    cpu: float = 0.1
    cpu_max: float | None = None
    memory: int = 128 * 1024**2
    disk: int = 64 * 1024**2
    pids: int = 64
    timeout_seconds: float = 300.0

    @classmethod
    def read(cls, value: Mapping[str, Any] | None) -> Self:
        read = _Reader(value, "/limits", cls)
        ceiling = None if read.value.get("cpu_max") is None else read.number("cpu_max", 1, low=0.01, high=256)
        return cls(
            cpu=read.number("cpu", 0.1, low=0.01, high=256),
            cpu_max=ceiling,
            memory=read.size("memory", 128 * 1024**2, low=32 * 1024**2),
            disk=read.size("disk", 64 * 1024**2, low=1024**2),
            pids=int(read.number("pids", 64, low=4, high=32_768, whole=True)),
            timeout_seconds=read.number("timeout_seconds", 300.0, low=0.1, high=30 * 86_400),
        )


@dataclass(frozen=True, slots=True)
class Security:
    """The least isolation user code gets. `network`: nothing, or the hosts it may reach as `host:port`."""

    level: Level = Level.MEDIUM
    permissions: tuple[str, ...] = ()
    network: tuple[str, ...] = ()

    @classmethod
    def read(cls, value: Mapping[str, Any] | None, *, default: Level = Level.MEDIUM) -> Self:
        read = _Reader(value, "/security", cls)
        level = read.value.get("level", default)
        if not isinstance(level, str) or level not in Level.__members__:
            raise Unacceptable("/security/level", "must be LOW, MEDIUM or HIGH")
        return cls(level=Level(level), permissions=read.words("permissions"), network=_network(read))


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long an execution may wait in its queue, be prepared, and take altogether; None is for ever."""

    queue: float | None = None
    prepare: float | None = None
    execution: float | None = None

    @classmethod
    def read(cls, value: Mapping[str, Any] | None) -> Self:
        read = _Reader(value, "/timeouts", cls)
        return cls(**{f.name: read.optional(f.name, low=0.1, high=365 * 86_400) for f in fields(cls)})


class OnConflict(StrEnum):
    """What becomes of a new execution while as many of its key are live as may be at work."""

    QUEUE = "queue"  # it waits its turn
    SKIP = "skip"  # it ends at once, as cancelled
    CANCEL_RUNNING = "cancel_running"  # the oldest are cancelled to make room for it


@dataclass(frozen=True, slots=True)
class Concurrency:
    """How many executions of a task are at work at once, over all workers: altogether, or for each value that `key` names.

    `key` is a place in the input: a JSON pointer (`/customer/id`, RFC 6901) or a dotted path (`customer.id`).
    """

    limit: int | None = None
    key: str = ""
    on_conflict: OnConflict = OnConflict.QUEUE

    @classmethod
    def read(cls, value: Mapping[str, Any] | None) -> Self:
        read = _Reader(value, "/concurrency", cls)
        limit = read.count("limit", high=100_000)
        key, then = read.value.get("key") or "", read.value.get("on_conflict") or OnConflict.QUEUE
        if not isinstance(key, str) or len(key) > LONGEST_WORD:
            raise Unacceptable("/concurrency/key", "must name a member of the input, such as “customer.id”")
        if not isinstance(then, str) or then not in set(OnConflict):
            raise Unacceptable("/concurrency/on_conflict", f"must be one of {', '.join(OnConflict)}")
        if limit is None and read.asks:
            raise Unacceptable("/concurrency/limit", "is required: how many may be at work at once")
        return cls(limit=limit, key=key, on_conflict=OnConflict(then))

    @property
    def meets(self) -> bool:
        """Whether a new execution looks at the live ones at once, instead of waiting its turn."""
        return self.limit is not None and self.on_conflict != OnConflict.QUEUE

    def key_of(self, input: Any) -> str:
        """The value of `key` in an input, as text; the empty text where it is missing."""
        found = input
        for part in _path(self.key):
            found = _member(found, part)
        return found if isinstance(found, str) else "" if found is None else encode(found).decode()


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `limit` attempts of a task begin in any `per_seconds`, over all workers."""

    limit: int | None = None
    per_seconds: float = 1.0

    @classmethod
    def read(cls, value: Mapping[str, Any] | None) -> Self:
        read = _Reader(value, "/rate", cls)
        limit = read.count("limit", high=1_000_000)
        if limit is None and read.asks:
            raise Unacceptable("/rate/limit", "is required: how many may begin in per_seconds")
        return cls(limit=limit, per_seconds=read.number("per_seconds", 1.0, low=0.1, high=7 * 86_400))


def _path(key: str) -> list[str]:
    if key.startswith("/"):
        return [part.replace("~1", "/").replace("~0", "~") for part in key[1:].split("/")]
    return key.split(".")


def _member(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(name)
    if isinstance(value, list) and name.isdecimal() and int(name) < len(value):
        return value[int(name)]
    return None


def _network(read: _Reader) -> tuple[str, ...]:
    if read.value.get("network", "none") == "none":
        return ()
    hosts = read.words("network")
    for host in hosts:
        if not HOST.fullmatch(host):
            raise Unacceptable("/security/network", f"“{host}” is not host:port")
    return hosts


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads members of one JSON object; refuses unknown ones and says where it went wrong."""

    given: Mapping[str, Any] | None
    pointer: str
    shape: type
    value: Mapping[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        value = self.given if self.given is not None else {}
        if not isinstance(value, Mapping):
            raise Unacceptable(self.pointer, "must be an object")
        for name in value:
            if name not in {f.name for f in fields(self.shape)}:
                raise Unacceptable(f"{self.pointer}/{name}", "is not a known member")
        object.__setattr__(self, "value", value)

    @property
    def asks(self) -> bool:
        """Whether any member says something."""
        return any(value is not None for value in self.value.values())

    def number(self, name: str, default: float, *, low: float, high: float, whole: bool = False) -> float:
        value = self.value.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or (whole and value != int(value)):
            raise Unacceptable(f"{self.pointer}/{name}", f"must be a {'whole ' if whole else ''}number")
        if not low <= value <= high:
            raise Unacceptable(f"{self.pointer}/{name}", f"must be between {low:g} and {high:.9g}")
        return float(value)

    def optional(self, name: str, *, low: float, high: float) -> float | None:
        return None if self.value.get(name) is None else self.number(name, low, low=low, high=high)

    def count(self, name: str, *, high: int) -> int | None:
        return None if self.value.get(name) is None else int(self.number(name, 1, low=1, high=high, whole=True))

    def size(self, name: str, default: int, *, low: int) -> int:
        value = self.value.get(name, default)
        if isinstance(value, int) and not isinstance(value, bool):
            size = value
        elif isinstance(value, str) and (match := SIZE.fullmatch(value.strip())):
            size = int(match[1]) * UNITS[match[2]]
        else:
            raise Unacceptable(f"{self.pointer}/{name}", "must be a size such as “128Mi”")
        if not low <= size <= 1024**4:
            raise Unacceptable(f"{self.pointer}/{name}", f"must be between {low // 1024**2}Mi and 1024Gi")
        return size

    def words(self, name: str) -> tuple[str, ...]:
        value = self.value.get(name, [])
        if not isinstance(value, list | tuple) or not all(
            isinstance(word, str) and len(word) <= LONGEST_WORD for word in value
        ):
            raise Unacceptable(f"{self.pointer}/{name}", "must be a list of words")
        return tuple(value)
