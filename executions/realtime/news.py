"""One small entry of the stream: which card changed, and its revision.

Loading this does not load Redis's client, so a worker or a scheduler that has nothing to tell yet need not wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

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
