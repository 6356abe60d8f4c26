"""Does this value fit the declared schema? JSON Schema 2020-12 by jsonschema-rs, with retrieval refused.

The library's own default fetches `$ref` over http and file, which would let a task's author read from our network; here a
schema is complete in itself or it is refused. Pure: no model, no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

import jsonschema_rs

from tasks.sdk.canonical import encode

MOST_ERRORS = 50
LONGEST_MESSAGE = 500


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a value: where (`pointer`, RFC 6901) and what, in words."""

    pointer: str
    message: str


class Invalid(ValueError):
    """A value that cannot be accepted; `problems` says where and why. Nothing was written."""

    def __init__(self, message: str, problems: Iterable[Problem]) -> None:
        super().__init__(message)
        self.message, self.problems = message, list(problems)


def problems(schema: dict[str, Any], value: Any) -> list[Problem]:
    """What keeps `value` from fitting `schema`, at most 50 of it; an empty list means it fits."""
    if not schema:
        return []
    try:
        validator = _validator(encode(schema))
    except ValueError:
        return [Problem("", f"cannot be checked: its schema {schema_problem(schema)}")]
    errors = islice(validator.iter_errors(value), MOST_ERRORS)
    return [problem for error in errors for problem in _explain(error)]


def schema_problem(schema: Any) -> str:
    """Why `schema` cannot be a schema, or an empty string."""
    if not isinstance(schema, dict):
        return "must be an object (a JSON Schema)"
    try:
        _validator(encode(schema))
    except ValueError as error:
        return f"is not a valid JSON Schema (2020-12): {str(error).splitlines()[0][:LONGEST_MESSAGE]}"
    return ""


def pointer(path: Iterable[str | int]) -> str:
    """A JSON pointer (RFC 6901) of a path."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


@lru_cache(maxsize=256)
def _validator(schema: bytes) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(schema.decode(), retriever=_refuse, validate_formats=True)


def _refuse(uri: str) -> Any:
    raise ValueError(f"references outside the schema itself are not followed: {uri}")


def _explain(error: jsonschema_rs.ValidationError) -> Iterator[Problem]:
    """One library error as problems: a missing or unexpected member is named by its own pointer, beside its field."""
    at, kind = pointer(error.instance_path), error.kind
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.Required):
        yield Problem(at + pointer([kind.property]), "is required")
    elif isinstance(kind, jsonschema_rs.ValidationErrorKind.AdditionalProperties):
        yield from (Problem(at + pointer([name]), "is not a known member") for name in kind.unexpected)
    else:
        yield Problem(at, error.message[:LONGEST_MESSAGE])
