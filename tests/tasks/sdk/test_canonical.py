"""What can be told as JSON, and what is refused with its place."""

import contextlib
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.sdk.canonical import Unfit, decode, encode

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=30)


@given(VALUES)
def test_every_json_value_survives_the_way_there_and_back(value: Any) -> None:
    told = encode(value)
    assert decode(told) == value
    assert encode(decode(told)) == told
    assert json.loads(told) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_and_nothing_else(raw: bytes) -> None:
    with contextlib.suppress(Unfit):
        encode(decode(raw))


def test_sorted_values_have_one_form() -> None:
    assert encode({"b": 1, "a": {"d": 2, "c": 3}}, sort=True) == b'{"a":{"c":3,"d":2},"b":1}'


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"1e999", "not a JSON number"),
        (b'{"a": [NaN]}', "NaN is not a JSON number"),
        (b"-Infinity", "not a JSON number"),
        (b'"a\\u0000b"', "NUL"),
        (b'{"\\u0000": 1}', "NUL"),
        (b'"\\ud800"', "surrogate"),
        (b'{"a": 1, "a": 2}', "“a” twice"),
        (b"[" * 65 + b"]" * 65, "64 levels"),
        (b"[" * 200_000, "64 levels"),
        (b"9" * 5000, "digits"),
        (b"\xff", "UTF-8"),
        (b'"\xed\xa0\x80"', "UTF-8"),
        (b"", "not JSON"),
        (b"{} {}", "not JSON"),
        (b'"a\nb"', "not JSON"),
    ],
)
def test_what_does_not_mean_the_same_to_everybody_is_not_read(raw: bytes, words: str) -> None:
    with pytest.raises(Unfit, match=words):
        decode(raw)


@pytest.mark.parametrize(
    ("value", "pointer", "words"),
    [
        ({"a": [1, math.nan]}, "/a/1", "nan is not a JSON number"),
        ({"a/b": {"~": math.inf}}, "/a~1b/~0", "inf"),
        (["x", "y\0"], "/1", "NUL"),
        ({"a": "\udc80"}, "/a", "surrogate"),
        ({"a": {1: 2}}, "/a/1", r"str\(1\)"),
        ({"a": {1, 2}}, "/a", "set"),
        (b"bytes", "", "bytes"),
        ([10**5000], "/0", "digits"),
    ],
)
def test_what_cannot_be_told_is_refused_with_its_place(value: Any, pointer: str, words: str) -> None:
    with pytest.raises(Unfit, match=words) as refusal:
        encode(value)
    assert refusal.value.pointer == pointer


def test_sixty_four_levels_are_fine() -> None:
    raw = b"[" * 64 + b"]" * 64
    assert encode(decode(raw)) == raw


def test_a_structure_that_holds_itself_is_refused() -> None:
    ring: list[Any] = []
    ring.append(ring)
    with pytest.raises(Unfit, match="64 levels"):
        encode(ring)
