"""The verbs an author calls. Each is short, keeps its book in the current run and speaks through its channel."""

from __future__ import annotations

import time

from .canonical import Unfit, decode, encode
from .context import current, current_step
from .errors import Misuse, clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime, timedelta
    from typing import Any, TypeVar, overload

    from .context import Run

    F = TypeVar("F", bound=Callable[..., Any])

LONGEST_TEXT = 64_000
MOST_SECONDS = 1_000_000_000
_IS_ASYNC = 0x80  # inspect.CO_COROUTINE
_ABSENT: Any = object()


class Mark:
    """What `@runboard.task` notes on a function: its name and what it declares for `runboard tasks apply`."""

    def __init__(self, name: str, declared: dict[str, Any]) -> None:
        self.name, self.declared = name, declared


if TYPE_CHECKING:

    @overload
    def task(function: F, /) -> F: ...

    @overload
    def task(
        *,
        name: str | None = None,
        title: str | None = None,
        input: Mapping[str, Any] | None = None,
        output: Mapping[str, Any] | None = None,
        queue: str | None = None,
        retry: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> Callable[[F], F]: ...


def task(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    title: str | None = None,
    input: Mapping[str, Any] | None = None,
    output: Mapping[str, Any] | None = None,
    queue: str | None = None,
    retry: Mapping[str, Any] | None = None,
    timeout: float | None = None,
) -> Any:
    """Marks the function that the house calls with the input's members as keyword arguments; it may be async."""
    declared = {"title": title, "input": input, "output": output, "queue": queue, "retry": retry, "timeout": timeout}

    def mark(function: Callable[..., Any]) -> Callable[..., Any]:
        said = {member: value for member, value in declared.items() if value is not None}
        function.__runboard__ = Mark(name or function.__name__, said)  # type: ignore[attr-defined]
        return function

    return mark if function is None else mark(function)


def step(key: str, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
    """Runs `function(*args, **named)` once in the life of the execution and returns its result, now and on later attempts.

    The result must be JSON; it is recorded before this returns. A coroutine function gives something to await.
    A step that was in progress when its worker died runs again, with the same `context.idempotency_key`.
    """
    if is_async(function):
        return _step_async(key, function, args, named)
    moment = Moment(current(), key, args, named)
    if moment.entry is not None:
        return moment.entry["value"]
    with moment:
        return moment.record(function(*args, **named))


def is_async(function: Callable[..., Any]) -> bool:
    """Whether a step's function gives something to await. Refuses what is no function."""
    if not callable(function):
        raise Misuse(
            "step(key, function, *args) wants the function itself: step('draw', draw, 3), not step('draw', draw(3))"
        )
    code = getattr(function, "__code__", None)
    return code is not None and bool(code.co_flags & _IS_ASYNC)


async def _step_async(key: str, function: Callable[..., Any], args: Any, named: Any) -> Any:
    moment = Moment(current(), key, args, named)
    if moment.entry is not None:
        return moment.entry["value"]
    with moment:
        return moment.record(await function(*args, **named))


class Moment:
    """One call of a step: known from earlier (`entry`), or entered, timed and recorded."""

    def __init__(self, run: Run, key: str, args: Any, named: Any, *, policy: str = "fail") -> None:
        self.run, self.key = run, key
        self.input_hash = _digest(args, named)
        run.claim(key)
        try:
            self.occurrence = run.next(key)
            self.entry = run.known(key, self.occurrence, kind="step", input_hash=self.input_hash, policy=policy)
        except BaseException:
            run.release(key)
            raise
        if self.entry is not None:
            run.release(key)

    def __enter__(self) -> None:
        self.token = current_step.set(f"{self.run.start['run']}:{self.key}:{self.occurrence}")
        self.began = time.monotonic()

    def __exit__(self, *_: object) -> None:
        current_step.reset(self.token)
        self.run.release(self.key)

    def record(self, value: Any) -> Any:
        """The value as every later attempt will see it (a tuple becomes a list), once it is committed."""
        try:
            told = encode(value)
        except Unfit as error:
            raise Misuse(f"step “{self.key}” must return JSON: {error}") from None
        frame = {"t": "step", "key": self.key, "occurrence": self.occurrence, "input_hash": self.input_hash}
        self.run.record(frame | {"value": value, "seconds": round(time.monotonic() - self.began, 6)})
        return decode(told)


def ask(
    prompt: str,
    *,
    options: Sequence[Any] | None = None,
    schema: Mapping[str, Any] | None = None,
    kind: str | None = None,
    recommended: Any = None,
    deadline: float | timedelta | datetime | None = None,
    default: Any = _ABSENT,
    key: str | None = None,
) -> Any:
    """Asks a person and returns the answer. Nothing is held meanwhile: the process ends and a later attempt goes on.

    `options` (values, or {value, label, …}) ask for one of them (`kind="choices"`: for several), `schema` for a form,
    neither for text. `deadline` is seconds from now, a timedelta or an aware datetime; `default` is the answer then.
    """
    run = current()
    key = run.automatic("ask") if key is None else key
    occurrence = run.next(key)
    entry = run.known(key, occurrence, kind="ask")
    if entry is not None:
        return entry["value"]
    frame = {"t": "ask", "key": key, "occurrence": occurrence, "prompt": clean(str(prompt)), "recommended": recommended}
    frame["kind"] = _kind(kind, options=options, schema=schema)
    frame["options"] = [_option(option) for option in options or ()]
    frame["schema"] = None if schema is None else dict(schema)
    frame["deadline"] = _moment(deadline)
    if default is not _ABSENT:
        frame |= {"default": default, "has_default": True}
    run.record(frame)
    raise Misuse("the house let the run go on without an answer")


def approve(
    prompt: str,
    *,
    recommended: bool | None = None,
    deadline: float | timedelta | datetime | None = None,
    default: Any = _ABSENT,
    key: str | None = None,
) -> bool:
    """Asks a person for a yes or a no."""
    answer = ask(prompt, kind="approve", recommended=recommended, deadline=deadline, default=default, key=key)
    return answer is True


def checkpoint(name: str, data: Any = _ABSENT, /) -> Any:
    """Records `data` as the newest state of this name and returns it; without data, what was recorded last, or None.

    Unlike a step it may be recorded any number of times, with other data each time.
    """
    run = current()
    if data is _ABSENT:
        return run.checkpoints.get(name)
    try:
        value = decode(encode(data))
    except Unfit as error:
        raise Misuse(f"checkpoint “{name}” must be JSON: {error}") from None
    run.keep(name, value)
    return value


def progress(fraction: float, message: object = "") -> None:
    """Says how far the run is, from 0 to 1, and in a few words."""
    share = min(1.0, max(0.0, float(fraction)))  # not a number: 0
    current().line.send({"t": "progress", "fraction": share, "message": clean(str(message))[:1000]})


def input() -> Any:
    """The execution's input."""
    return current().input


def output(value: Any) -> None:
    """Says the result. The first one counts, and only when the code ends well; a marked task's return value says the same."""
    run = current()
    run.line.send({"t": "output", "value": value})
    run.said_output = True


class Log:
    """Lines with a level, beside what the code prints: `log.warning("slow", seconds=3.2)`."""

    def debug(self, message: object, **fields: object) -> None:
        self._say("debug", message, fields)

    def info(self, message: object, **fields: object) -> None:
        self._say("info", message, fields)

    def warning(self, message: object, **fields: object) -> None:
        self._say("warning", message, fields)

    def error(self, message: object, **fields: object) -> None:
        self._say("error", message, fields)

    def _say(self, level: str, message: object, fields: dict[str, object]) -> None:
        text = " ".join([str(message), *(f"{name}={value!r}" for name, value in fields.items())])
        current().line.send({"t": "log", "level": level, "text": clean(text[:LONGEST_TEXT])})


log = Log()


def _digest(args: Any, named: Any) -> str:
    """A hash of what a step was called with; what is not JSON counts by its type alone (its repr may hold addresses)."""
    if not args and not named:
        return ""
    import hashlib

    plain = [_plain(args), _plain(named)]
    return hashlib.sha256(encode(plain, sort=True)).hexdigest()


def _plain(value: Any) -> Any:
    try:
        encode(value)
    except Unfit:
        if isinstance(value, (list, tuple)):
            return [_plain(inner) for inner in value]
        if isinstance(value, dict):
            return {clean(str(name)): _plain(inner) for name, inner in value.items()}
        return f"<{type(value).__module__}.{type(value).__qualname__}>"
    return value


def _kind(kind: str | None, *, options: Sequence[Any] | None, schema: Mapping[str, Any] | None) -> str:
    if options and schema:
        raise Misuse("ask takes options or a schema, not both")
    if kind is None:
        return "choice" if options else "form" if schema else "text"
    if kind not in ("approve", "choice", "choices", "text", "form"):
        raise Misuse(f"a question's kind is approve, choice, choices, text or form, not {kind!r}")
    if kind in ("choice", "choices") and not options:
        raise Misuse(f"a question of kind {kind} needs options")
    if kind == "form" and not schema:
        raise Misuse("a question of kind form needs a schema")
    return kind


def _option(option: Any) -> dict[str, Any]:
    if isinstance(option, dict):
        if "value" not in option:
            raise Misuse("an option is a value, or an object with a value and a label")
        return {"label": str(option["value"])} | option
    return {"value": option, "label": str(option)}


def _moment(deadline: float | timedelta | datetime | None) -> float | None:
    """Unix seconds of a deadline."""
    if deadline is None:
        return None
    if hasattr(deadline, "timestamp"):
        return moment_of(deadline)
    return time.time() + seconds_of(deadline, "a deadline")


def moment_of(moment: Any) -> float:
    """Unix seconds of an aware datetime."""
    if not hasattr(moment, "timestamp") or moment.tzinfo is None:
        raise Misuse(f"a moment is a datetime with a time zone, datetime.now(timezone.utc) + …, not {moment!r:.80}")
    return float(moment.timestamp())


def seconds_of(duration: float | timedelta, what: str) -> float:
    """Seconds of a number or a timedelta, which are not negative and at most 30 years."""
    seconds = duration.total_seconds() if hasattr(duration, "total_seconds") else duration
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds < MOST_SECONDS:
        raise Misuse(f"{what} is seconds from 0 to {MOST_SECONDS:,}, or a timedelta, not {duration!r:.80}")
    return float(seconds)
