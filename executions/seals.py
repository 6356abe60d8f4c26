"""Seals: HMAC-SHA256 under keys that are not in the database, so that whoever can write there cannot forge what they seal.

Guarantee: what is sealed cannot be changed, and nothing be sealed, without a key of `RUNBOARD_SECRET_KEYS`. The first of them
seals; all of them verify. A seal is `<key id>.<43 characters of base64url>`; the key id is public and tells keys apart.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from django.conf import settings

Part = str | int | None

_text = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class UnknownKey(Exception):
    """The key that made a seal is not among ours: nothing can be said about what it seals."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"the key that sealed these events (id {key_id}) is not among RUNBOARD_SECRET_KEYS")
        self.key_id = key_id


@dataclass(frozen=True, slots=True)
class Key:
    id: str
    secret: bytes


def seal(*parts: Part) -> str:
    """The seal of these values in this order, under the newest key."""
    return _sealed(keys()[0], parts)


def holds(sealed: str, *parts: Part) -> bool:
    """Whether `sealed` is the seal of these values. Raises UnknownKey where that cannot be said."""
    key_id, dot, _ = sealed.partition(".")
    if not dot:
        return False
    key = next((key for key in keys() if key.id == key_id), None)
    if key is None:
        raise UnknownKey(key_id)
    return hmac.compare_digest(_sealed(key, parts).encode(), sealed.encode(errors="replace"))


def digest(text: str) -> str:
    """SHA-256 of a text, in hexadecimal: says whether two texts are the same, and can be made by anybody."""
    return hashlib.sha256(text.encode()).hexdigest()


def told(parts: tuple[Part, ...]) -> str:
    """Values as the one text that is sealed: a JSON array without spaces."""
    return _text(parts)


def moment(at: datetime | None) -> str | None:
    """A moment as it is sealed: ISO 8601 in UTC, with microseconds."""
    return None if at is None else at.astimezone(UTC).isoformat(timespec="microseconds")


def keys() -> tuple[Key, ...]:
    """The keys of this house, the newest first."""
    return _read(tuple(settings.SECRET_KEYS))


@lru_cache(maxsize=8)
def _read(secrets: tuple[str, ...]) -> tuple[Key, ...]:
    return tuple(Key(_id(secret), secret.encode()) for secret in secrets)


def _id(secret: str) -> str:
    return hashlib.sha256(b"runboard key id\n" + secret.encode()).hexdigest()[:8]


def _sealed(key: Key, parts: tuple[Part, ...]) -> str:
    mac = hmac.digest(key.secret, _text(parts).encode(), "sha256")
    return f"{key.id}.{urlsafe_b64encode(mac)[:43].decode()}"
