"""What was true of many histories at one moment, signed: whoever cuts one short, or removes a whole execution, is found."""

from __future__ import annotations

from django.db import models

from executions import seals


class Anchor(models.Model):
    """`entries` are lines `execution id, seq, seal of that event`, of the executions that changed since `since`.

    Anchors are a chain of their own: each signs the signature of the one before it, and the database keeps it a chain
    (`previous` is unique). One of kind `unsealed` vouches for what was written before histories were sealed; its lines end
    with a digest of all events up to that seq.
    """

    class Kind(models.TextChoices):
        HEADS = "heads"
        UNSEALED = "unsealed"

    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.HEADS)
    since = models.DateTimeField(null=True)
    until = models.DateTimeField()
    entries = models.TextField(blank=True)
    previous = models.CharField(max_length=64, blank=True, unique=True)
    signature = models.CharField(max_length=64, unique=True)

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.until:%Y-%m-%d %H:%M} {self.signature}"

    @property
    def signed_parts(self) -> tuple[seals.Part, ...]:
        return ("anchor", self.previous, str(self.kind), seals.moment(self.since), seals.moment(self.until),
                seals.digest(self.entries))  # fmt: skip
