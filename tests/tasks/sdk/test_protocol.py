"""Frames are one line each, come back as they went, and a line that is not exactly a frame is refused in words."""

import contextlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
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
    POLICIES,
    PRIORITIES,
    Ack,
    Ask,
    AwaitSignal,
    Cancel,
    Checkpoint,
    Diverged,
    Done,
    Error,
    Frame,
    Hello,
    Log,
    Output,
    Progress,
    Run,
    Sleep,
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
SLUGS = st.text("abc-_9", min_size=1, max_size=99).map("a{}".format)
CHILDREN = st.lists(
    st.fixed_dictionaries(
        {"task": SLUGS, "input": VALUES},
        optional={
            "title": TEXT.map(lambda text: text[:200]),
            "queue": SLUGS,
            "priority": st.sampled_from(PRIORITIES),
            "outlives": st.booleans(),
        },
    ),
    min_size=1,
    max_size=4,
).map(tuple)
FRAMES = st.one_of(
    st.builds(Hello, runtime=st.sampled_from(["python", "shell", ""])),
    st.builds(Log, text=TEXT, level=st.sampled_from(LEVELS)),
    st.builds(Progress, fraction=st.floats(0, 1), message=TEXT),
    st.builds(Step, key=KEYS, occurrence=COUNTS, input_hash=HASHES, value=VALUES, seconds=SECONDS),
    st.builds(
        Diverged,
        key=KEYS,
        occurrence=COUNTS,
        recorded=HASHES.map("step:{}".format),
        met=HASHES,
        policy=st.sampled_from(POLICIES),
    ),
    st.builds(Checkpoint, key=KEYS, value=VALUES),
    st.builds(Sleep, key=KEYS, occurrence=COUNTS, seconds=SECONDS, until=st.none()),
    st.builds(Sleep, key=KEYS, occurrence=COUNTS, seconds=st.none(), until=st.floats(1, 1e10)),
    st.builds(
        Run,
        key=KEYS,
        occurrence=COUNTS,
        input_hash=HASHES,
        children=CHILDREN,
        gathers=st.booleans(),
        fail_fast=st.booleans(),
    ),
    st.builds(
        AwaitSignal, key=KEYS, occurrence=COUNTS, input_hash=HASHES, name=KEYS, timeout=st.none() | st.floats(0, 1e8)
    ),
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
    st.builds(Ack, key=KEYS, occurrence=COUNTS, then=st.sampled_from(["go", "stop"]), why=TEXT, value=VALUES),
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


NUMBERS = st.sampled_from([0, -1, True, 1e300, -1e300, 5e-324, 10**400, -(10**4000), 2**31, 1e11, 1e9, -0.0])
NEARLY = FRAMES.map(write).map(json.loads)


@given(NEARLY, st.data(), VALUES | NUMBERS)
def test_a_frame_with_one_member_changed_is_a_frame_or_is_refused(
    members: dict[str, Any], data: st.DataObject, value: Any
) -> None:
    name = data.draw(st.sampled_from(sorted(members)))
    with contextlib.suppress(Unfit):
        assert isinstance(read(encode(members | {name: value})), Frame)
    with contextlib.suppress(Unfit):
        read(encode({other: inner for other, inner in members.items() if other != name}))


@given(
    VALUES,
    st.sampled_from(["task", "input", "title", "queue", "priority", "outlives", "colour"]),
    VALUES | NUMBERS,
)
def test_a_child_with_one_member_changed_is_a_child_or_is_refused(input: Any, name: str, value: Any) -> None:
    child = {"task": "mail", "input": input, name: value}
    with contextlib.suppress(Unfit):
        frame = read(encode({"t": "run", "key": "a", "occurrence": 0, "input_hash": "", "children": [child]}))
        assert isinstance(frame, Run)
        assert name != "colour"


@given(
    st.binary(max_size=200) | FRAMES.map(write).flatmap(lambda line: st.integers(0, len(line)).map(lambda n: line[:n]))
)
def test_any_bytes_are_a_frame_or_are_refused(line: bytes) -> None:
    with contextlib.suppress(Unfit):
        read(line)


@given(MOMENTS.filter(bool) | st.sampled_from([5e-324, 1e11 - 1, 99_999_999_999.999]), SECONDS | st.just(1e9 - 1))
def test_a_moment_or_a_duration_that_is_believed_can_be_told_as_a_date(moment: float, seconds: float) -> None:
    sleep = read(encode({"t": "sleep", "key": "s", "occurrence": 0, "until": moment}))
    nap = read(encode({"t": "sleep", "key": "s", "occurrence": 0, "seconds": seconds}))
    assert isinstance(sleep, Sleep)
    assert isinstance(nap, Sleep)
    assert sleep.until is not None
    assert nap.seconds is not None
    assert datetime.fromtimestamp(sleep.until, UTC).year < 5200
    assert datetime(2999, 1, 1, tzinfo=UTC) + timedelta(seconds=nap.seconds)


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
        (b'{"t": "ask", "key": "a", "occurrence": 0, "prompt": "?", "kind": "text", "deadline": 1e11}', "“deadline”"),
        (b'{"t": "progress", "fraction": 1' + b"0" * 400 + b"}", "“fraction”"),
        (b'{"t": "step", "key": "a", "occurrence": 0, "input_hash": "", "value": 1, "seconds": null}', "“seconds”"),
        (b'{"t": "sleep", "key": "a", "occurrence": 0}', "seconds or until"),
        (b'{"t": "sleep", "key": "a", "occurrence": 0, "seconds": 1, "until": 1}', "not both"),
        (b'{"t": "sleep", "key": "a", "occurrence": 0, "seconds": -1}', "“seconds”"),
        (b'{"t": "sleep", "key": "a", "occurrence": 0, "until": 1e999}', "not a JSON number"),
        (b'{"t": "sleep", "key": "a", "occurrence": 0, "until": true}', "“until”"),
        (b'{"t": "run", "key": "a", "occurrence": 0, "input_hash": "", "children": []}', "“children”"),
        (b'{"t": "run", "key": "a", "occurrence": 0, "input_hash": "", "children": [{"task": "x"}]}', "“children”"),
        (b'{"t": "run", "key": "a", "occurrence": 0, "input_hash": "", "children": {"task": "x"}}', "“children”"),
        (
            b'{"t": "run", "key": "a", "occurrence": 0, "input_hash": "", "children": [{"task": "a b", "input": 1}]}',
            "“children”",
        ),
        (b'{"t": "signal", "key": "a", "occurrence": 0, "input_hash": "", "name": ""}', "“name”"),
        (b'{"t": "signal", "key": "a", "occurrence": 0, "input_hash": "", "name": "a", "timeout": 1e9}', "“timeout”"),
        (b'{"t": "checkpoint", "key": "a"}', "needs “value”"),
        (b'{"t": "diverged", "key": "a", "occurrence": 0, "recorded": "", "met": "", "policy": "shrug"}', "“policy”"),
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
