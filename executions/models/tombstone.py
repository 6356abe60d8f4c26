"""What is left of an execution that retention has removed: that it was, how it ended, and that its history was whole."""

from __future__ import annotations

from django.db import models

from executions import seals


class Tombstone(models.Model):
    """Signed over every column. `head` is the seal of the last event, `last_seq` how many there were."""

    id = models.UUIDField(primary_key=True, editable=False)
    number = models.BigIntegerField(unique=True)
    task = models.CharField(max_length=100)
    lineage = models.UUIDField()
    run = models.PositiveIntegerField()
    parent = models.UUIDField(null=True)
    state = models.CharField(max_length=12)
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField()
    last_seq = models.PositiveIntegerField()
    head = models.CharField(max_length=64, blank=True)
    why = models.CharField(max_length=200)
    pruned_at = models.DateTimeField()
    signature = models.CharField(max_length=64)

    class Meta:
        ordering = ("number",)

    def __str__(self) -> str:
        return f"EX-{self.number} (pruned)"

    @property
    def signed_parts(self) -> tuple[seals.Part, ...]:
        parent = None if self.parent is None else str(self.parent)
        return ("tombstone", str(self.id), self.number, self.task, str(self.lineage), self.run, parent, self.state,
                seals.moment(self.created_at), seals.moment(self.finished_at), self.last_seq, self.head, self.why,
                seals.moment(self.pruned_at))  # fmt: skip
