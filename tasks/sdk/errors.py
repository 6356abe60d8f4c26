"""What an author may raise, what the SDK raises, and how any error is told to the house.

`ConnectionError`, `TimeoutError`, their kin in HTTP libraries, and answers 429 and 5xx are told as retryable;
`Retryable` says so on purpose and `Fatal` says the opposite.
"""

from __future__ import annotations

from .canonical import Unfit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LONGEST_MESSAGE = 8_000
LONGEST_STACK = 32_000
TOO_MANY, THEIR_FAULT, ANY_FAULT = 429, range(500, 600), range(400, 600)  # HTTP
_PASSING = {
    "ConnectionError",
    "TimeoutError",
    "Timeout",
    "TransportError",
    "RemoteDisconnected",
    "IncompleteRead",
    "gaierror",
}
_LASTING = {"Fatal", "SignalTimeout"}


class Retryable(Exception):
    """This attempt failed, the next one may succeed: the retry policy decides when."""


class Fatal(Exception):
    """Trying again is pointless: the execution fails at once."""


class Misuse(Exception):
    """A verb was used as it cannot be used; says how it can."""


class StepTimeout(TimeoutError):
    """A step took longer than `runboard.options(timeout=…)` gives it."""


class SignalTimeout(TimeoutError):
    """No signal of the name came in time. It is on record, so another attempt comes to the same."""


class ChildFailed(RuntimeError):
    """A child execution did not complete: its `task`, `execution`, `number`, `state` and `error` {type, message, …}."""

    def __init__(self, *, task: str, execution: str, number: int, state: str, error: dict[str, Any] | None) -> None:
        self.task, self.execution, self.number, self.state, self.error = task, execution, number, state, error
        why = ": ".join(str(error[name]) for name in ("type", "message") if error and error.get(name))
        super().__init__(f"“{task}” #{number} {state.replace('_', ' ')}" + (f": {why}" if why else ""))


class Cancelled(BaseException):
    """Somebody cancelled this run. Clean up and let it pass: what still runs after the grace is killed."""


class Suspended(BaseException):
    """A run without a house met a question that has no answer yet (raised by `runboard.testing` alone)."""


def told(error: BaseException, *, hidden: tuple[str, ...]) -> dict[str, Any]:
    """The members of an error frame. Stack entries from files under `hidden` (the SDK itself) are left out."""
    return {
        "t": "error",
        "type": _name(error)[:200],
        "message": clean(str(_message(error)))[:LONGEST_MESSAGE],
        "stack": _stack(error, hidden),
        "retryable": is_retryable(error),
    }


def is_retryable(error: BaseException) -> bool:
    """Whether another attempt may well succeed, judged by what the error is and not by its words."""
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & _LASTING:
        return False
    if "Retryable" in names or names & _PASSING:
        return True
    status = _status(error)
    return status == TOO_MANY or status in THEIR_FAULT


def clean(text: str) -> str:
    """Text without NUL and half surrogates, which no frame may carry."""
    return text.encode(errors="replace").decode().replace("\0", "\ufffd")


def _name(error: BaseException) -> str:
    kind = type(error)
    house = __name__.rpartition(".")[0]
    plain = kind.__module__ in ("builtins", "__main__", house) or kind.__module__.startswith(house + ".")
    return kind.__qualname__ if plain else f"{kind.__module__}.{kind.__qualname__}"


def _message(error: BaseException) -> object:
    try:
        return error.message if isinstance(error, Unfit) and not error.pointer else error.__str__()
    except Exception as broken:
        return f"(its message could not be read: {type(broken).__name__})"


def _status(error: BaseException) -> int:
    """The HTTP status an error of urllib, requests, httpx or their like carries, or 0."""
    for holder in (error, getattr(error, "response", None)):
        for name in ("status_code", "status", "code"):
            status = getattr(holder, name, None)
            if isinstance(status, int) and not isinstance(status, bool) and status in ANY_FAULT:
                return status if "HTTP" in type(error).__name__.upper() else 0
    return 0


def _stack(error: BaseException, hidden: tuple[str, ...]) -> str:
    import traceback

    told = traceback.TracebackException.from_exception(error)
    chain: list[traceback.TracebackException | None] = [told]
    while chain:
        link = chain.pop()
        if link is not None:
            seen = [entry for entry in link.stack if not entry.filename.startswith(hidden)]
            link.stack = traceback.StackSummary.from_list(seen[-50:])
            chain += [link.__cause__, link.__context__]
    return clean("".join(told.format()))[-LONGEST_STACK:]
