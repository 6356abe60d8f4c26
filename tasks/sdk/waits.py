"""The verbs that wait without holding anything: for a time, for child executions, for a signal.

The first call is recorded and the process ends; when the wait is over the code starts again, and the same call returns what it
came to. So nothing is lost by waiting for a month, and nothing but the code between the waits runs twice.
"""

from __future__ import annotations

from .canonical import Unfit, decode, encode
from .context import current
from .errors import ChildFailed, Misuse, SignalTimeout
from .verbs import moment_of, seconds_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta
    from typing import Any

LONGEST_NAME = 200
LONGEST_SLUG = 100
MOST_CHILDREN = 1000
PRIORITIES = ("urgent", "high", "normal", "low")
_OF_A_CHILD = {"task", "input", "title", "queue", "priority", "outlives"}


class Child:
    """How a child execution ended. `output` is there when it `completed`, `error` {type, message, …} when it failed."""

    def __init__(
        self, task: str, *, execution: str, number: int, state: str, output: Any, error: dict[str, Any] | None
    ) -> None:
        self.task, self.execution, self.number = task, execution, number
        self.state, self.output, self.error = state, output, error

    @property
    def completed(self) -> bool:
        return self.state == "completed"

    def failure(self) -> ChildFailed:
        """What `run` raises about it."""
        return ChildFailed(
            task=self.task, execution=self.execution, number=self.number, state=self.state, error=self.error
        )


def sleep(seconds: float | timedelta | None = None, *, until: datetime | None = None, key: str | None = None) -> None:
    """Goes on after so long, or at a moment (an aware datetime): never earlier, and over any restart in between."""
    if (seconds is None) == (until is None):
        raise Misuse("sleep wants seconds, or until=datetime, and not both")
    if until is not None:
        current().wait({"t": "sleep", "until": moment_of(until)}, key=key)
    elif seconds is not None:
        current().wait({"t": "sleep", "seconds": seconds_of(seconds, "a sleep")}, key=key)


def run(
    task: str,
    input: Any = None,
    *,
    key: str | None = None,
    title: str | None = None,
    queue: str | None = None,
    priority: str | None = None,
    outlives: bool = False,
) -> Any:
    """Runs another task as a child execution and returns its output. Raises ChildFailed when it does not complete.

    A child ends with its parent, unless it `outlives` it.
    """
    child = {"task": task, "input": input, "title": title, "queue": queue, "priority": priority, "outlives": outlives}
    [ended] = _children([child], key=key, gathers=False, fail_fast=True)
    if not ended.completed:
        raise ended.failure()
    return ended.output


def gather(
    *children: str | Sequence[Any] | Mapping[str, Any],
    key: str | None = None,
    fail_fast: bool = True,
    return_failures: bool = False,
) -> list[Any]:
    """Runs several children side by side and returns their outputs in this order, once all have ended.

    A child is `("task", input)`, a task's name, or an object {task, input, title, queue, priority, outlives}. With
    `fail_fast` the first that does not complete cancels the others. Raises ChildFailed for the first that failed; with
    `return_failures` it raises nothing and returns a `Child` of each (`completed`, `state`, `output`, `error`).
    """
    wanted = [_wanted(child) for child in children]
    ended = _children(wanted, key=key, gathers=True, fail_fast=fail_fast)
    if return_failures:
        return ended
    failed = sorted((child for child in ended if not child.completed), key=_was_stopped)
    if failed:
        raise failed[0].failure()
    return [child.output for child in ended]


def wait_for_signal(name: str, timeout: float | timedelta | None = None, *, key: str | None = None) -> Any:
    """Waits for a signal of this name and returns what came with it; one that came before counts.

    Raises SignalTimeout when none has come after `timeout` seconds.
    """
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise Misuse(f"a signal's name is text of 1 to {LONGEST_NAME} printable characters, not {name!r:.80}")
    seconds = None if timeout is None else seconds_of(timeout, "a timeout")
    frame = {"t": "signal", "input_hash": _digest(name), "name": name, "timeout": seconds}
    came = current().wait(frame, key=key)
    if not isinstance(came, dict):
        raise Misuse("the house let the run go on without a signal")
    if came.get("timed_out"):
        raise SignalTimeout(f"no signal “{name}” came" + ("" if seconds is None else f" within {seconds:g} s"))
    return came["value"]


def _children(wanted: list[dict[str, Any]], *, key: str | None, gathers: bool, fail_fast: bool) -> list[Child]:
    if len(wanted) > MOST_CHILDREN:
        raise Misuse(f"gather runs at most {MOST_CHILDREN:,} children at once, not {len(wanted):,}")
    children = [_child(**child) for child in wanted]
    if not children:
        return []
    frame = {"t": "run", "input_hash": _digest(children), "children": children}
    ended = current().wait(frame | {"gathers": gathers, "fail_fast": bool(fail_fast)}, key=key)
    if not isinstance(ended, list) or len(ended) != len(children):
        raise Misuse("the house let the run go on without its children")
    return [Child(child["task"], **result) for child, result in zip(children, ended, strict=True)]


def _wanted(child: str | Sequence[Any] | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(child, str):
        return {"task": child}
    if isinstance(child, (tuple, list)) and len(child) in (1, 2):
        return dict(zip(("task", "input"), child, strict=False))
    if isinstance(child, dict) and "task" in child and child.keys() <= _OF_A_CHILD:
        return dict(child)
    raise Misuse(f"a child is a task's name, (task, input), or an object {{task, input, title, …}}, not {child!r:.80}")


def _child(
    *, task: str, input: Any = None, title: Any = None, queue: Any = None, priority: Any = None, outlives: bool = False
) -> dict[str, Any]:
    """A child as the house is told of it: only what was said."""
    if title is not None and not (isinstance(title, str) and len(title) <= LONGEST_NAME):
        raise Misuse(f"a child's title is text of at most {LONGEST_NAME} characters, not {title!r:.80}")
    if priority is not None and priority not in PRIORITIES:
        raise Misuse(f"a priority is urgent, high, normal or low, not {priority!r:.80}")
    try:
        value = {} if input is None else decode(encode(input))
    except Unfit as error:
        raise Misuse(f"the input of “{task}” must be JSON: {error}") from None
    child = {"task": _slug(task, "task"), "input": value}
    said = {"title": title, "queue": None if queue is None else _slug(queue, "queue"), "priority": priority}
    child |= {member: inner for member, inner in said.items() if inner is not None}
    return child | ({"outlives": True} if outlives else {})


def _slug(name: Any, what: str) -> str:
    is_slug = isinstance(name, str) and name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    if not is_slug or len(name) > LONGEST_SLUG:
        raise Misuse(f"the name of a {what} is 1 to {LONGEST_SLUG} letters, digits, - and _, not {name!r:.80}")
    return str(name)


def _was_stopped(child: Child) -> bool:
    """Whether others may be to blame: fail_fast cancels the rest, and what they were cancelled for is to be told."""
    return child.state in ("cancelled", "terminated")


def _digest(value: Any) -> str:
    import hashlib

    return hashlib.sha256(encode(value, sort=True)).hexdigest()
