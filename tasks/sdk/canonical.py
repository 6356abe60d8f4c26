"""The one way values become bytes and bytes become values: JSON that means the same to everybody who stores or reads it.

Refused in both directions, each with its place: NaN and infinities (`1e999` too), NUL, lone surrogates, more than 64 levels,
integers of more than 4,300 digits, names that are not text or come twice, and bytes that are not UTF-8.
Kept light on purpose: the author's code waits for this module to load.
"""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DEEPEST = 64
MOST_DIGITS = 4300
_MOST_BITS = 14_284  # of a number with 4,300 digits
_INFINITY = float("inf")


class Unfit(ValueError):
    """A value that cannot be told as JSON; says where (`pointer`, RFC 6901) and why."""

    def __init__(self, message: str, pointer: str = "") -> None:
        super().__init__(f"{pointer or '/'}: {message}")
        self.message, self.pointer = message, pointer


def encode(value: Any, *, sort: bool = False) -> bytes:
    """Canonical bytes of a value, without spaces. Members keep their order, or are sorted by name with `sort`."""
    _check(value, 0)
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"), sort_keys=sort)
    return text.encode()


def decode(raw: bytes | bytearray | memoryview) -> Any:
    """The value of canonical or any other JSON bytes (UTF-8)."""
    try:
        value = json.loads(str(raw, "utf-8"), object_pairs_hook=_members, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise Unfit(f"is not UTF-8 (byte {error.start})") from None
    except RecursionError:
        raise Unfit(f"is nested more than {DEEPEST} levels deep") from None
    except json.JSONDecodeError as error:
        raise Unfit(f"is not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None
    except Unfit:
        raise
    except ValueError:
        raise Unfit(f"holds a number of more than {MOST_DIGITS} digits") from None
    _check(value, 0)
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Unfit(f"names “{_shown(twice)}” twice in one object")
    return members


def _no_constant(word: str) -> None:
    raise Unfit(f"{word} is not a JSON number")


def _check(value: Any, depth: int) -> None:
    kind = type(value)
    if kind is str:
        _check_text(value)
    elif value is None or kind is bool:
        return
    elif isinstance(value, int):
        if value.bit_length() > _MOST_BITS:
            raise Unfit(f"is a number of more than {MOST_DIGITS} digits")
    elif isinstance(value, float):
        if not -_INFINITY < value < _INFINITY:
            raise Unfit(f"{value} is not a JSON number")
    elif isinstance(value, str):
        _check_text(value)
    elif isinstance(value, (dict, list, tuple)):
        _check_inside(value, depth + 1)
    else:
        raise Unfit(f"a value of type {kind.__name__} cannot be told as JSON")


def _check_inside(value: dict[Any, Any] | list[Any] | tuple[Any, ...], depth: int) -> None:
    if depth > DEEPEST:
        raise Unfit(f"is nested more than {DEEPEST} levels deep")
    name: Any = None
    try:
        if isinstance(value, dict):
            for name, inner in value.items():
                _check_name(name)
                _check(inner, depth)
        else:
            for name, inner in enumerate(value):  # noqa: B007
                _check(inner, depth)
    except Unfit as error:
        place = _shown(str(name)).replace("~", "~0").replace("/", "~1")
        raise Unfit(error.message, f"/{place}{error.pointer}") from None


def _check_name(name: Any) -> None:
    if not isinstance(name, str):
        raise Unfit(f"a member's name must be text, not {type(name).__name__}: write str({name!r:.40})")
    _check_text(name)


def _check_text(text: str) -> None:
    if "\0" in text:
        raise Unfit("holds a NUL character")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise Unfit("holds half of a surrogate pair") from None


def _shown(text: str) -> str:
    return text[:80].encode(errors="replace").decode()
