"""Members of a JSON body, read strictly: a text is a text, a name that nobody knows is refused, nothing is converted.

A serializer here says what a body looks like and what an answer looks like; what is done with it is a verb's business.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, cast

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.settings import api_settings

from tasks.schema import Problem

SHORT, LONG = 200, 20_000
WHOLE = api_settings.NON_FIELD_ERRORS_KEY  # the place of what is wrong with a body as a whole


class Unknown(NotFound):
    """Something that the body names does not exist; `problem` says where it is named."""

    def __init__(self, message: str, *, at: str) -> None:
        super().__init__(message)
        self.problem = Problem(at, "is not there")


class Strict(serializers.Serializer[Any]):
    """Refuses members it does not know, by name. `later` are those whose feature is not built yet; `also` is what its JSON
    Schema says besides its members."""

    later: Collection[str] = ()
    also: Mapping[str, Any] = {}

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, Mapping):
            raise serializers.ValidationError({WHOLE: ["must be an object"]})
        wrong = {name: [self._why_not(name)] for name in data if self._is_foreign(name, data[name])}
        try:
            known: dict[str, Any] = super().to_internal_value(dict(data))
        except serializers.ValidationError as error:
            raise serializers.ValidationError({**wrong, **cast(Any, error.detail)}) from None
        if wrong:
            raise serializers.ValidationError(wrong)
        return known

    def _is_foreign(self, name: str, value: Any) -> bool:
        field = self.fields.get(name)
        return field.read_only if field is not None else not (name in self.later and value is None)

    def _why_not(self, name: str) -> str:
        if name in self.later:
            return "is not built yet in this version of Runboard"
        if name in self.fields:
            return "cannot be set"
        verb = "is" if len(self.fields) == 1 else "are"
        known = f"; there {verb} {', '.join(map(str, self.fields))}" if self.fields else ""
        return f"is not a known member{known}"


class Text(serializers.CharField):
    """A text and nothing that could be turned into one; it is kept as it was written."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**{"trim_whitespace": False, "max_length": SHORT, **how})

    def run_validation(self, data: Any = serializers.empty) -> Any:
        if data is not serializers.empty and data is not None and not isinstance(data, str):
            raise serializers.ValidationError("must be a text")
        return super().run_validation(data)


class Whole(serializers.IntegerField):
    """A whole number that both databases can hold; true and "7" are none."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**{"min_value": 0, "max_value": 2**63 - 1, **how})

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int):
            raise serializers.ValidationError("must be a whole number")
        return super().to_internal_value(data)


class Number(serializers.FloatField):
    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool) or not isinstance(data, int | float):
            raise serializers.ValidationError("must be a number")
        return super().to_internal_value(data)


class OneOf(serializers.ChoiceField):
    """One of some words."""

    def __init__(self, words: Collection[str], **how: Any) -> None:
        told = {"invalid_choice": f"must be one of {', '.join(words)}"}
        super().__init__(**{"choices": [str(word) for word in words], "error_messages": told, **how})


class OrNull(serializers.CharField):
    """A text of ours that is null where there is none."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**{"allow_null": True, **how})

    def to_representation(self, value: str) -> str | None:  # type: ignore[override]
        return value or None


class Truth(serializers.BooleanField):
    """true or false, and no word for them."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            raise serializers.ValidationError("must be true or false")
        return data


class Moment(serializers.DateTimeField):
    """A moment as ISO 8601; without an offset it is UTC."""


@extend_schema_field({"description": "Any JSON value."})
class Value(serializers.Field[Any, Any, Any, Any]):
    """Any JSON value, null too."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**{"allow_null": True, **how})

    def to_internal_value(self, data: Any) -> Any:
        return data

    def to_representation(self, value: Any) -> Any:
        return value


@extend_schema_field({"description": "Any JSON value.", "nullable": True})
class StoredValue(Value):
    """A JSON value that is kept as canonical text."""

    def to_representation(self, value: str) -> Any:
        return json.loads(value)


class AnyOf(serializers.CharField):
    """In a query: one of some words, or several of them with commas between."""

    def __init__(self, words: Collection[str], **how: Any) -> None:
        self.words = [str(word) for word in words]
        super().__init__(**{"required": False, "help_text": f"One or more, comma-separated: {self.told}.", **how})

    @property
    def told(self) -> str:
        return ", ".join(self.words)

    def to_internal_value(self, data: str) -> list[str]:  # type: ignore[override]
        asked = data.split(",")
        if any(word not in self.words for word in asked):
            raise serializers.ValidationError(f"must be one or more of {self.told}")
        return asked
