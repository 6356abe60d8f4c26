"""The run that the author's code is part of: what it may know, what earlier attempts recorded, and the books of its verbs.

There is one run a process; `runboard.testing` puts its own into the context variable. Guarantee: `record` returns only after
the house has said that the record is committed, and when the house says stop, no line of the author's code runs after it.
"""

from __future__ import annotations

from _thread import allocate_lock
from contextvars import ContextVar

from .channel import SUSPENDED
from .errors import Cancelled, Misuse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from typing import Any, NoReturn, Protocol

    class Line(Protocol):
        """What a run needs of its way to the house."""

        def send(self, frame: dict[str, Any]) -> None: ...
        def tell(self, frame: dict[str, Any]) -> dict[str, Any]: ...
        def is_cancelled(self) -> bool: ...
        def between_frames(self, act: Callable[[], object]) -> bool: ...
        def leave(self, code: int) -> NoReturn: ...


LONGEST_KEY = 200


class Run:
    """One attempt as its own code sees it. `memo` holds entries {key, occurrence, kind, input_hash, value}."""

    def __init__(self, line: Line, start: dict[str, Any], *, input: Any, memo: list[dict[str, Any]]) -> None:
        self.line, self.start, self.input = line, start, input
        self.memo = {(entry["key"], entry["occurrence"]): entry for entry in memo if entry["kind"] != "checkpoint"}
        self.checkpoints = {entry["key"]: entry["value"] for entry in memo if entry["kind"] == "checkpoint"}
        self.said_output = False
        self._times: dict[str, int] = {}
        self._active: set[str] = set()
        self._books = allocate_lock()

    def next(self, key: str) -> int:
        """The occurrence that a use of this key is now, from 0. A use that fails takes none, so it may be tried again."""
        check_key(key)
        return self._times.get(key, 0)

    def used(self, key: str) -> None:
        """Notes that this occurrence of the key is over: recorded now, or taken from the memo."""
        with self._books:
            self._times[key] = self._times.get(key, 0) + 1

    def automatic(self, verb: str) -> str:
        """A key for a verb that was given none: `ask-1`, `ask-2`, by the order of calls and never by their text."""
        with self._books:
            number = self._times.get(f"\0{verb}", 0) + 1
            self._times[f"\0{verb}"] = number
        return f"{verb}-{number}"

    def known(
        self, key: str, occurrence: int, *, kind: str, input_hash: str = "", policy: str = "fail"
    ) -> dict[str, Any] | None:
        """What an earlier attempt recorded here. Another kind or input is told to the house, which says go or stop.

        `policy` is what the author wants then: fail, or use the record, which only a record of the same kind can be.
        """
        entry = self.memo.get((key, occurrence))
        if entry is None:
            return None
        recorded, met = f"{entry['kind']}:{entry['input_hash']}", f"{kind}:{input_hash}"
        if recorded != met:
            policy = policy if entry["kind"] == kind else "fail"
            frame = {"t": "diverged", "key": key, "occurrence": occurrence, "recorded": recorded, "met": met}
            self._obey(frame | {"policy": policy})
        self.used(key)
        return entry

    def record(self, frame: dict[str, Any]) -> dict[str, Any]:
        """Tells the house what a key came to, and returns its ack once that is committed."""
        ack = self._obey(frame)
        self.used(frame["key"])
        return ack

    def wait(self, frame: dict[str, Any], *, key: str | None) -> Any:
        """What a wait came to. The house ends this process until it is over, unless it is over already."""
        key = self.automatic(frame["t"]) if key is None else key
        occurrence = self.next(key)
        entry = self.known(key, occurrence, kind=frame["t"], input_hash=frame.get("input_hash", ""))
        if entry is not None:
            return entry["value"]
        return self.record(frame | {"key": key, "occurrence": occurrence}).get("value")

    def keep(self, name: str, value: Any) -> None:
        """Records a checkpoint, the newest of its name."""
        check_key(name)
        self._obey({"t": "checkpoint", "key": name, "value": value})
        self.checkpoints[name] = value

    def claim(self, key: str) -> None:
        """Refuses a second call of a key while the first still runs: whose record would be whose?"""
        with self._books:
            if key in self._active:
                raise Misuse(f"step “{key}” is already running: give steps that run side by side keys of their own")
            self._active.add(key)

    def release(self, key: str) -> None:
        with self._books:
            self._active.discard(key)

    def _obey(self, frame: dict[str, Any]) -> dict[str, Any]:
        ack = self.line.tell(frame)
        if ack["then"] != "go":
            self._stop(ack)
        return ack

    def _stop(self, ack: dict[str, Any]) -> NoReturn:
        if ack.get("why", "").startswith("cancel"):
            raise Cancelled("the run was cancelled")
        self.line.leave(SUSPENDED)


def check_key(key: str) -> None:
    """Refuses what is not a key of a record or the name of a checkpoint."""
    if not isinstance(key, str) or not 0 < len(key) <= LONGEST_KEY or not key.isprintable():
        raise Misuse(f"a key is text of 1 to {LONGEST_KEY} printable characters, not {key!r:.80}")


current_run: ContextVar[Run | None] = ContextVar("current_run", default=None)
current_step: ContextVar[str | None] = ContextVar("current_step", default=None)
_runs_of_this_process: list[Run] = []


def adopt(run: Run) -> None:
    """Makes `run` the run of this process, seen by every thread of it (threads do not inherit context variables)."""
    _runs_of_this_process[:] = [run]


def current() -> Run:
    """The run this code is part of."""
    run = current_run.get()
    if run is not None:
        return run
    if not _runs_of_this_process:
        raise Misuse("there is no run here: let the house run this task, or call runboard.testing.run(task, input)")
    return _runs_of_this_process[0]


class Context:
    """What the author's code may know about its run."""

    @property
    def execution(self) -> str:
        """The execution's id, the same over all attempts."""
        return str(current().start["run"])

    @property
    def task(self) -> str:
        """The task's slug."""
        return str(current().start.get("task", ""))

    @property
    def attempt(self) -> int:
        """The number of this attempt, from 1."""
        return int(current().start["attempt"])

    @property
    def deadline(self) -> datetime | None:
        """The moment this attempt is ended by the clock, in UTC."""
        from datetime import UTC, datetime  # only who asks has to wait for it to load

        at = current().start.get("deadline")
        return None if at is None else datetime.fromtimestamp(at, UTC)

    @property
    def cancelled(self) -> bool:
        """Whether somebody cancelled this run. Code that asks is trusted to stop by itself within the grace."""
        return current().line.is_cancelled()

    @property
    def idempotency_key(self) -> str:
        """Inside a step: what to hand to others, so that this step's effect happens once however often it is tried."""
        key = current_step.get()
        if key is None:
            raise Misuse("context.idempotency_key is there inside a step only")
        return key


context = Context()
