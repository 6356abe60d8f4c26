"""Frames are one line each, come back as they went, and a line that is not exactly a frame is refused in words."""

import contextlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.sdk.canonical import encode
from tasks.sdk.protocol import (
    FROM_HOST,
    FROM_SANDBOX,
    KINDS,
    LEVELS,
    LONGEST_FRAME,
    Ack,
    Ask,
    Cancel,
    Diverged,
    Done,
    Error,
    Frame,
    Hello,
    Log,
    Output,
    Progress,
    Start,
    Step,
    Unfit,
    read,
    write,
)
from tests.tasks.sdk.test_canonical import TEXT, VALUES

KEYS = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=200)
COUNTS = st.integers(0, 2**31 - 1)
HASHES = st.text("0123456789abcdef", max_size=64)
SECONDS = st.floats(0, 1e8)
MOMENTS = st.none() | st.floats(1, 1e10)
OBJECTS = st.dictionaries(TEXT, VALUES, max_size=4)
OPTIONS = st.lists(st.fixed_dictionaries({"value": VALUES, "label": TEXT}), max_size=4).map(tuple)
FRAMES = st.one_of(
    st.builds(Hello, runtime=st.sampled_from(["python", "shell", ""])),
    st.builds(Log, text=TEXT, level=st.sampled_from(LEVELS)),
    st.builds(Progress, fraction=st.floats(0, 1), message=TEXT),
    st.builds(Step, key=KEYS, occurrence=COUNTS, input_hash=HASHES, value=VALUES, seconds=SECONDS),
    st.builds(Diverged, key=KEYS, occurrence=COUNTS, recorded=HASHES.map("step:{}".format), met=HASHES),
    st.builds(
        Ask,
        key=KEYS,
        occurrence=COUNTS,
        prompt=TEXT.filter(bool),
        kind=st.sampled_from(KINDS),
        options=OPTIONS,
        schema=st.none() | OBJECTS,
        recommended=VALUES,
        deadline=MOMENTS,
        default=VALUES,
        has_default=st.booleans(),
    ),
    st.builds(Output, value=VALUES),
    st.builds(Error, type=TEXT.filter(bool), message=TEXT, stack=TEXT, retryable=st.booleans()),
    st.builds(Done, code=st.integers(0, 255), signal=st.none() | st.integers(1, 64)),
)
HOST_FRAMES = st.one_of(
    st.builds(Start, run=TEXT, attempt=COUNTS, input=TEXT, memo=TEXT, deadline=MOMENTS, variables=st.none() | OBJECTS),
    st.builds(Ack, key=KEYS, occurrence=COUNTS, then=st.sampled_from(["go", "stop"]), why=TEXT),
    st.builds(Cancel, grace=SECONDS),
)


@given(FRAMES)
def test_a_frame_comes_back_as_it_went(frame: Frame) -> None:
    line = write(frame)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert read(line) == frame


@given(HOST_FRAMES)
def test_what_the_host_says_comes_back_as_it_went(frame: Frame) -> None:
    assert read(write(frame), known=FROM_HOST) == frame


@given(st.sampled_from(sorted(FROM_SANDBOX)), OBJECTS)
def test_any_object_is_a_frame_or_is_refused(kind: str, members: dict[str, Any]) -> None:
    with contextlib.suppress(Unfit):
        read(encode({**members, "t": kind}))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"[]", "JSON object"),
        (b"null", "JSON object"),
        (b"{}", "no frame is called None"),
        (b'{"t": "start", "run": "x", "attempt": 1}', "no frame is called 'start'"),
        (b'{"t": ["hello"]}', "no frame is called"),
        (b'{"t": "hello", "runtime": "python", "v": 2}', "“v” of a hello frame cannot be 2"),
        (b'{"t": "hello", "runtime": "python", "v": true}', "“v”"),
        (b'{"t": "hello", "runtime": "cobol"}', "“runtime”"),
        (b'{"t": "log"}', "a log frame needs “text”"),
        (b'{"t": "log", "text": "x", "colour": "red"}', "no member “colour”"),
        (b'{"t": "log", "text": 3}', "“text” of a log frame cannot be 3"),
        (b'{"t": "progress", "fraction": 1.1}', "“fraction”"),
        (b'{"t": "progress", "fraction": true}', "“fraction”"),
        (b'{"t": "step", "key": "", "occurrence": 0, "input_hash": "", "value": 1}', "“key”"),
        (b'{"t": "step", "key": "a\\u001bb", "occurrence": 0, "input_hash": "", "value": 1}', "“key”"),
        (b'{"t": "step", "key": "a", "occurrence": -1, "input_hash": "", "value": 1}', "“occurrence”"),
        (b'{"t": "step", "key": "a", "occurrence": 0, "input_hash": ""}', "needs “value”"),
        (b'{"t": "ask", "key": "a", "occurrence": 0, "prompt": "?", "kind": "riddle"}', "“kind”"),
        (b'{"t": "ask", "key": "a", "occurrence": 0, "prompt": "?", "kind": "choice", "options": ["x"]}', "“options”"),
        (b'{"t": "done", "code": 256}', "“code”"),
        (b'{"t": "output", "value": 1e999}', "not a JSON number"),
    ],
)
def test_a_line_that_is_not_exactly_a_frame_is_refused(line: bytes, words: str) -> None:
    with pytest.raises(Unfit, match=words):
        read(line)


def test_a_frame_of_more_than_a_mebibyte_is_neither_written_nor_read() -> None:
    frame = Output(value="x" * LONGEST_FRAME)
    with pytest.raises(Unfit, match="1,048,576 bytes"):
        write(frame)
    with pytest.raises(Unfit, match="1,048,576 bytes"):
        read(b" " * (LONGEST_FRAME + 1))
    short = replace(frame, value="x" * 1_048_000)
    assert read(write(short)) == short
