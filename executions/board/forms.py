"""What a move on the board says: which card, where to, before which, and the key of the gesture."""

from __future__ import annotations

import re
from dataclasses import dataclass
from uuid import UUID

from django import forms

from executions.board.columns import TITLES

CARD = re.compile(
    r"plan-(?P<plan>[0-9]{1,18})|library-(?P<library>[-a-z0-9_]{1,100})|"
    r"execution-(?P<execution>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
)


@dataclass(frozen=True, slots=True)
class CardId:
    """A card's id, read: `kind` is plan, library or execution."""

    kind: str
    key: str

    @property
    def number(self) -> int:
        return int(self.key)

    @property
    def uuid(self) -> UUID:
        return UUID(self.key)

    def __str__(self) -> str:
        return f"{self.kind}-{self.key}"


class CardField(forms.CharField):
    """The id of a card's element, as a CardId."""

    default_error_messages = {"unknown": "There is no such card. Reload the board."}

    def clean(self, value: str) -> CardId | None:
        text = super().clean(value)
        if not text:
            return None
        found = CARD.fullmatch(text)
        if found is None or found.lastgroup is None:
            raise forms.ValidationError(self.error_messages["unknown"], code="unknown")
        return CardId(found.lastgroup, found[found.lastgroup])


class MoveForm(forms.Form):
    """`before` matters in Planning alone, whose order people make."""

    card = CardField(max_length=120)
    to = forms.ChoiceField(choices=list(TITLES.items()))
    before = CardField(max_length=120, required=False)
    key = forms.CharField(max_length=80, required=False)
