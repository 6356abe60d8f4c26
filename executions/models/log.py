"""Log lines, stored as compressed chunks: volume, not history. A chunk is written once and then refused change."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import models

from executions.models.execution import Execution


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line as it is read: `n` counts from 1 over all attempts; `stream` stdout, stderr or log; `level` a word."""

    n: int
    attempt: int
    at: datetime
    stream: str
    level: str
    text: str


class LogChunkQuerySet(models.QuerySet["LogChunk"]):
    def lines(self, *, after: int = 0, limit: int = 500) -> list[LogLine]:
        """Up to `limit` lines with n > `after`, in order."""
        found: list[LogLine] = []
        for chunk in self.filter(last__gt=after).order_by("first").iterator(chunk_size=8):
            found += [line for line in chunk.lines() if line.n > after]
            if len(found) >= limit:
                break
        return found[:limit]


class LogChunk(models.Model):
    """Lines `first` … `last` of an execution, of one attempt: zlib over JSON lines `[unix time, stream, level, text]`."""

    execution = models.ForeignKey(Execution, on_delete=models.PROTECT, related_name="log")
    attempt = models.PositiveIntegerField()
    first = models.PositiveBigIntegerField()
    last = models.PositiveBigIntegerField()
    body = models.BinaryField()

    objects = LogChunkQuerySet.as_manager()

    class Meta:
        ordering = ("execution", "first")
        constraints = [models.UniqueConstraint(fields=["execution", "last"], name="one_chunk_a_line")]

    def __str__(self) -> str:
        return f"{self.execution_id} lines {self.first}–{self.last}"

    def lines(self) -> Iterator[LogLine]:
        rows = zlib.decompress(self.body).decode().split("\n")
        for n, row in enumerate(rows, start=self.first):
            at, stream, level, text = json.loads(row)
            yield LogLine(n, self.attempt, datetime.fromtimestamp(at, UTC), stream, level, text)


def pack(lines: Iterable[tuple[float, str, str, str]]) -> bytes:
    """The body of a chunk, from (unix time, stream, level, text) rows."""
    rows = (json.dumps(line, ensure_ascii=False, separators=(",", ":")) for line in lines)
    return zlib.compress("\n".join(rows).encode(errors="replace"), 3)
