"""What every runtime promises: an order goes in, frames come out, and after `close` nothing of it is left.

Runtimes know frames and limits; they do not know executions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from tasks.policy import Limits, Security
from tasks.sdk.canonical import encode
from tasks.sdk.protocol import Frame


class EnvironmentUnavailable(Exception):
    """No sandbox of this kind can be made on this machine. The words are one sentence with its mend."""


class EnvironmentFailed(Exception):
    """This sandbox could not be made, the next one may. The words are the driver's own."""


@dataclass(frozen=True, slots=True)
class Memo:
    """What earlier attempts recorded under a key. `occurrence` counts from 0; `value` is, by kind:

    step: its result · ask: the answer · sleep: null · run: [{execution, number, state, output, error}] in the children's
    order · signal: {value} or {timed_out: true} · checkpoint: the newest data (occurrence 0)
    """

    key: str
    occurrence: int
    kind: str
    input_hash: str
    value: Any


@dataclass(frozen=True, slots=True)
class Order:
    """One attempt, told in plain values."""

    execution: str
    attempt: int
    task: str
    workflow: str = ""
    kind: str = "script"  # "script" | "action"
    runtime: str = "python"  # "python" | "shell" | "" for actions
    source: str = ""
    handler: str = ""
    input: Any = None
    memo: tuple[Memo, ...] = ()
    limits: Limits = field(default_factory=Limits)
    prepare_within: float | None = None  # seconds; None leaves it to the driver
    security: Security = field(default_factory=Security)
    environment_variables: Mapping[str, str] = field(default_factory=dict)


def memo_body(order: Order) -> bytes:
    """The memo as its file: a JSON list of entries."""
    return encode([asdict(memo) for memo in order.memo])


@dataclass(frozen=True, slots=True)
class Line:
    """One log line. `at` is unix time; `stream` is stdout, stderr or log; `level` debug, info, warning or error."""

    at: float
    stream: str
    level: str
    text: str


@dataclass(frozen=True, slots=True)
class Lines(Frame):
    """Log lines in the order they came, at most 2,000 or 250 ms of them."""

    t: ClassVar[str] = "lines"
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Exit:
    """How a sandbox ended.

    `code` or `signal` is what the author's code ended with (both None when it was killed before it could say). `cause` is
    why *we* ended it: "" (we did not), timeout, memory, disk, inodes, output (too many frames), ended, stopped.
    `violation` says how it broke the protocol, or is empty. `words` are the last lines on stderr, for an environment that
    never said hello.
    """

    code: int | None
    signal: int | None
    cause: str
    said_hello: bool
    violation: str
    words: str = ""

    @property
    def is_clean(self) -> bool:
        """Whether an output counts: the code ended by itself, with 0, and kept to the protocol."""
        return self.code == 0 and not self.cause and not self.violation and self.said_hello


class Sandbox(ABC):
    """What one attempt runs in, alive from `prepare` to `close`. Only `frames` and `close` belong to the slot's thread."""

    id: str
    method: str
    driver: str

    @abstractmethod
    def frames(self) -> Iterator[Frame]:
        """Typed frames and `Lines`, in order, until the end. Hello is the first; a sandbox that failed says none."""

    def says_more(self, *, within: float) -> bool:
        """Whether something more comes from it within so many seconds; what cannot tell at once says no."""
        return False

    @abstractmethod
    def ack(self, key: str, occurrence: int, *, then: str = "go", why: str = "", value: Any = None) -> None:
        """Tells the author's code that its key is recorded, or that it has to stop. Never blocks; thread-safe.

        `value` goes to a wait that is over already. Where it takes more than a frame the sandbox is ended instead: the next
        attempt finds it in its memo.
        """

    @abstractmethod
    def stop(self, *, grace: float) -> None:
        """Cancel frame, SIGTERM to the tree, `grace` seconds, SIGKILL. Returns at once; thread-safe."""

    @abstractmethod
    def end(self) -> None:
        """Kills everything now. Thread-safe, idempotent."""

    @abstractmethod
    def freeze(self) -> None:
        """Stops every process where it is; the clock stops too. Thread-safe."""

    @abstractmethod
    def thaw(self) -> None:
        """Lets a frozen tree go on. Thread-safe."""

    @abstractmethod
    def close(self) -> Exit:
        """Ends what still runs, waits for it, frees everything. Idempotent."""


class Runtime(ABC):
    """Makes sandboxes of one driver."""

    name: str

    @abstractmethod
    def prepare(self, order: Order) -> Sandbox:
        """A sandbox in which the order starts at once. Raises EnvironmentUnavailable or EnvironmentFailed."""
