"""Protocol 1 between a sandbox and the house: the frames as values, and their one line of JSON each.

`docs/protocol.md` is the specification; this module is what the house believes. A frame is one line of canonical JSON of at
most 1 MiB with its kind under `t`. A line that is not exactly a known frame is refused with `Unfit`, which says why: what
comes out of a sandbox is hostile until proven otherwise. The author's side (`context`) writes the same lines by hand,
because loading dataclasses would cost an author's first line 8 ms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar

from .canonical import DEEPEST, Unfit, decode, encode

__all__ = [
    "DEEPEST", "LONGEST_FRAME", "VERSION", "Ack", "Ask", "AwaitSignal", "Cancel", "Checkpoint", "Diverged", "Done", "Error",
    "Frame", "Hello", "Log", "Output", "Progress", "Run", "Sleep", "Start", "Step", "Unfit", "decode", "encode", "read",
    "write",
]  # fmt: skip

VERSION = 1
LONGEST_FRAME = 1024 * 1024
LONGEST_KEY = 200
LONGEST_HASH = 64
LONGEST_PROMPT = 20_000
LONGEST_NAME = 200
LONGEST_SLUG = 100
MOST_OPTIONS = 1000
MOST_CHILDREN = 1000
MOST_SECONDS = 1e9  # 31 years
LAST_MOMENT = 1e11  # unix seconds: the year 5138
FARTHEST = 1e300  # no number of a frame is larger; Python compares an int of any length with it
LAST_CODE = 255
LAST_SIGNAL = 64
LEVELS = ("debug", "info", "warning", "error")
KINDS = ("approve", "choice", "choices", "text", "form")
POLICIES = ("fail", "use")
PRIORITIES = ("urgent", "high", "normal", "low")


@dataclass(frozen=True, slots=True)
class Frame:
    """One line between a sandbox and its runner."""

    t: ClassVar[str]


@dataclass(frozen=True, slots=True)
class Hello(Frame):
    """The first frame: the sandbox stands and speaks this version."""

    t: ClassVar[str] = "hello"
    runtime: str
    v: int = VERSION


@dataclass(frozen=True, slots=True)
class Log(Frame):
    """A line the author's code logs."""

    t: ClassVar[str] = "log"
    text: str
    level: str = "info"


@dataclass(frozen=True, slots=True)
class Progress(Frame):
    """How far it is, from 0 to 1, and in a few words."""

    t: ClassVar[str] = "progress"
    fraction: float
    message: str = ""


@dataclass(frozen=True, slots=True)
class Step(Frame):
    """A step ran and wants to be recorded; the author's code goes on after the ack. `occurrence` counts from 0."""

    t: ClassVar[str] = "step"
    key: str
    occurrence: int
    input_hash: str
    value: Any
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Diverged(Frame):
    """A recorded key was met again with another input or kind; nothing ran. Ack `go` uses the record, `stop` ends.

    `recorded` and `met` are `kind:input_hash`; `policy` is what the author wants then: fail, or use the record.
    """

    t: ClassVar[str] = "diverged"
    key: str
    occurrence: int
    recorded: str
    met: str
    policy: str = "fail"


@dataclass(frozen=True, slots=True)
class Checkpoint(Frame):
    """The author's own state by name. Each call records anew; the memo holds the newest. Acked with occurrence 0."""

    t: ClassVar[str] = "checkpoint"
    key: str
    value: Any


@dataclass(frozen=True, slots=True)
class Ask(Frame):
    """A question to a person. The host records it and ends the sandbox; the answer is in the memo of the next attempt.

    `options` are objects {value, label, …}; `deadline` is unix seconds; `has_default` tells a default of null from none.
    """

    t: ClassVar[str] = "ask"
    key: str
    occurrence: int
    prompt: str
    kind: str
    options: tuple[dict[str, Any], ...] = ()
    schema: dict[str, Any] | None = None
    recommended: Any = None
    deadline: float | None = None
    default: Any = None
    has_default: bool = False


@dataclass(frozen=True, slots=True)
class Sleep(Frame):
    """Goes on after `seconds` from now or at the moment `until` (unix seconds): exactly one of the two."""

    t: ClassVar[str] = "sleep"
    key: str
    occurrence: int
    seconds: float | None = None
    until: float | None = None

    def __post_init__(self) -> None:
        if (self.seconds is None) == (self.until is None):
            raise Unfit("a sleep frame needs seconds or until, and not both")


@dataclass(frozen=True, slots=True)
class Run(Frame):
    """Starts child executions and goes on when they have ended.

    `children` are objects {task, input, title?, queue?, priority?, outlives?}. `gathers` tells several at once from one;
    with `fail_fast` the first that does not complete cancels the others. A child that `outlives` is not ended with us.
    """

    t: ClassVar[str] = "run"
    key: str
    occurrence: int
    input_hash: str
    children: tuple[dict[str, Any], ...]
    gathers: bool = False
    fail_fast: bool = True


@dataclass(frozen=True, slots=True)
class AwaitSignal(Frame):
    """Goes on when a signal of this name has come, or `timeout` seconds have passed."""

    t: ClassVar[str] = "signal"
    key: str
    occurrence: int
    input_hash: str
    name: str
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Output(Frame):
    """The result; the first one counts, and only when the code ends well."""

    t: ClassVar[str] = "output"
    value: Any


@dataclass(frozen=True, slots=True)
class Error(Frame):
    """The error the author's code ended with."""

    t: ClassVar[str] = "error"
    type: str
    message: str = ""
    stack: str = ""
    retryable: bool = False


@dataclass(frozen=True, slots=True)
class Done(Frame):
    """The last frame: how the author's code ended, where the process around it cannot say so exactly."""

    t: ClassVar[str] = "done"
    code: int = 0
    signal: int | None = None


@dataclass(frozen=True, slots=True)
class Start(Frame):
    """From the host, once, after hello: what to run and where its files are (paths as the sandbox sees them)."""

    t: ClassVar[str] = "start"
    run: str
    attempt: int
    task: str = ""
    workflow: str = ""
    runtime: str = "python"
    handler: str = ""
    source: str = ""
    input: str = ""
    memo: str = ""
    deadline: float | None = None
    variables: dict[str, Any] | None = None
    v: int = VERSION


@dataclass(frozen=True, slots=True)
class Ack(Frame):
    """From the host: this key is recorded. `then` is go or stop; `why` (pause, cancel, lost, diverged) comes with stop.

    To a wait that is over already (a signal that came before), `then` go carries what the memo would: its `value`.
    """

    t: ClassVar[str] = "ack"
    key: str
    occurrence: int
    then: str = "go"
    why: str = ""
    value: Any = None


@dataclass(frozen=True, slots=True)
class Cancel(Frame):
    """From the host: end yourself within `grace` seconds."""

    t: ClassVar[str] = "cancel"
    grace: float


_HEARD = (Hello, Log, Progress, Step, Diverged, Checkpoint, Ask, Sleep, Run, AwaitSignal, Output, Error, Done)
FROM_SANDBOX: dict[str, type[Frame]] = {frame.t: frame for frame in _HEARD}
FROM_HOST: dict[str, type[Frame]] = {frame.t: frame for frame in (Start, Ack, Cancel)}


def write(frame: Frame) -> bytes:
    """A frame's line, with its end. Refuses what `read` would refuse for its size or its values."""
    members = {field.name: getattr(frame, field.name) for field in fields(frame)}
    line = encode({"t": frame.t} | members)
    if len(line) >= LONGEST_FRAME:
        raise Unfit(f"a frame may be at most {LONGEST_FRAME:,} bytes; this one has {len(line):,}")
    return line + b"\n"


def read(line: bytes | bytearray | memoryview, *, known: dict[str, Any] = FROM_SANDBOX) -> Frame:
    """The frame a line holds (with or without its end), from the sandbox unless `known` says otherwise."""
    if len(line) > LONGEST_FRAME:
        raise Unfit(f"a frame may be at most {LONGEST_FRAME:,} bytes")
    members = decode(line)
    if not isinstance(members, dict):
        raise Unfit("a frame is a JSON object")
    kind = members.pop("t", None)
    if not isinstance(kind, str) or kind not in known:
        raise Unfit(f"no frame is called {kind!r:.40}")
    return _made(known[kind], members)


def _made(shape: type[Frame], members: dict[str, Any]) -> Frame:
    names = {field.name: field for field in fields(shape)}
    for name in members:
        if name not in names:
            raise Unfit(f"a {shape.t} frame has no member “{name:.40}”")
    for name, field in names.items():
        if name in members:
            members[name] = _member(shape.t, name, members[name])
        elif field.default is MISSING:
            raise Unfit(f"a {shape.t} frame needs “{name}”")
    return shape(**members)


def _member(frame: str, name: str, value: Any) -> Any:
    """One member, believed only if it is what its name means."""
    check = _OF_ONE_FRAME.get((frame, name)) or _MEMBERS.get(name)
    if check is not None and not check(value):
        raise Unfit(f"“{name}” of a {frame} frame cannot be {value!r:.80}")
    return tuple(value) if isinstance(value, list) and name in ("options", "children") else value


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -FARTHEST < value < FARTHEST


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_key(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_KEY and value.isprintable()


def _is_hash(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST_HASH and value.isascii() and value.isprintable()


def _is_kind_and_hash(value: Any) -> bool:
    return isinstance(value, str) and _is_hash(value.partition(":")[2]) and len(value) <= LONGEST_KEY


def _is_object_or_null(value: Any) -> bool:
    return value is None or isinstance(value, dict)


def _are_options(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= MOST_OPTIONS and all(_is_option(option) for option in value)


def _is_option(value: Any) -> bool:
    return isinstance(value, dict) and "value" in value and isinstance(value.get("label"), str)


def _is_duration(value: Any) -> bool:
    return _is_number(value) and 0 <= value < MOST_SECONDS


def _is_moment(value: Any) -> bool:
    return _is_number(value) and 0 < value < LAST_MOMENT


def _is_slug(value: Any) -> bool:
    plain = isinstance(value, str) and value.isascii() and value.replace("-", "").replace("_", "").isalnum()
    return plain and len(value) <= LONGEST_SLUG


def _are_children(value: Any) -> bool:
    return isinstance(value, list) and 0 < len(value) <= MOST_CHILDREN and all(_is_child(child) for child in value)


def _is_child(value: Any) -> bool:
    if not isinstance(value, dict) or not {"task", "input"} <= value.keys() <= _OF_A_CHILD.keys():
        return False
    return all(_OF_A_CHILD[name](inner) for name, inner in value.items())


_OF_A_CHILD: dict[str, Callable[[Any], bool]] = {
    "task": _is_slug,
    "input": lambda _: True,
    "title": lambda value: _is_text(value) and len(value) <= LONGEST_NAME,
    "queue": _is_slug,
    "priority": lambda value: value in PRIORITIES,
    "outlives": _is_flag,
}
_MEMBERS: dict[str, Callable[[Any], bool]] = {
    "v": lambda value: value == VERSION and _is_count(value),
    "runtime": lambda value: value in ("python", "node", "java", "shell", ""),
    "text": _is_text,
    "level": lambda value: value in LEVELS,
    "fraction": lambda value: _is_number(value) and 0 <= value <= 1,
    "message": _is_text,
    "key": _is_key,
    "occurrence": _is_count,
    "input_hash": _is_hash,
    "recorded": _is_kind_and_hash,
    "met": _is_kind_and_hash,
    "prompt": lambda value: _is_text(value) and 0 < len(value) <= LONGEST_PROMPT,
    "kind": lambda value: value in KINDS,
    "options": _are_options,
    "schema": _is_object_or_null,
    "deadline": lambda value: value is None or _is_moment(value),
    "until": lambda value: value is None or _is_moment(value),
    "timeout": lambda value: value is None or _is_duration(value),
    "gathers": _is_flag,
    "fail_fast": _is_flag,
    "children": _are_children,
    "name": _is_key,
    "policy": lambda value: value in POLICIES,
    "has_default": _is_flag,
    "type": lambda value: _is_text(value) and 0 < len(value) <= LONGEST_NAME,
    "stack": _is_text,
    "retryable": _is_flag,
    "code": lambda value: _is_count(value) and value <= LAST_CODE,
    "signal": lambda value: value is None or (_is_count(value) and 0 < value <= LAST_SIGNAL),
    "run": _is_text,
    "attempt": _is_count,
    "task": _is_text,
    "workflow": _is_text,
    "handler": _is_text,
    "source": _is_text,
    "input": _is_text,
    "memo": _is_text,
    "variables": _is_object_or_null,
    "then": lambda value: value in ("go", "stop"),
    "why": _is_text,
    "grace": lambda value: _is_number(value) and value >= 0,
}
_OF_ONE_FRAME: dict[tuple[str, str], Callable[[Any], bool]] = {
    ("step", "seconds"): _is_duration,
    ("sleep", "seconds"): lambda value: value is None or _is_duration(value),
}
