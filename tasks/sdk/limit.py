"""A time limit that interrupts what it limits, as far as Python lets it.

In the main thread a timer's signal interrupts Python code and system calls (sleep, read, connect). In other threads an
exception is raised between two instructions of Python, so a call that blocks is interrupted once it returns. A coroutine is
cancelled where it awaits. Nothing interrupts a long computation in C; the attempt's own clock ends that one.
Guarantees: no frame is cut in two, and after the limit is taken away it raises nothing any more.
"""

from __future__ import annotations

import signal
import time

from .errors import StepTimeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .context import Line

SOON = 0.02  # seconds until the next try to interrupt, while a frame is under way
AGAIN = 5.0  # seconds for what was interrupted to clean up, before it is interrupted again
_signal = signal.SIGALRM


class Overtime(BaseException):
    """Raised inside what takes too long; code that catches Exception lets it pass."""


def limited(work: Callable[[], Any], *, seconds: float | None, line: Line, what: str) -> Any:
    """What `work` returns. Raises StepTimeout when it takes longer."""
    if seconds is None:
        return work()
    import threading

    here = threading.current_thread()
    kind = _InMain if here is threading.main_thread() else _InThread
    limit = kind(seconds, line)
    try:
        try:
            limit.begin()
            return work()
        finally:
            limit.end()
    except Overtime as over:
        limit.end()
        if not limit.is_over:
            raise  # of a step around this one
        raise StepTimeout(f"{what} took longer than {seconds:g} s") from over.__cause__


async def limited_async(work: Callable[[], Any], *, seconds: float | None, what: str) -> Any:
    """What awaiting `work()` gives. Raises StepTimeout when it takes longer."""
    import asyncio

    clock = asyncio.timeout(seconds)
    try:
        async with clock:
            return await work()
    except TimeoutError:
        if clock.expired():
            raise StepTimeout(f"{what} took longer than {seconds:g} s") from None
        raise


class _InMain:
    """A limit kept by a signal. Limits may lie inside each other: the timer is set for the first that ends."""

    _all: list[_InMain] = []
    _before: Any = None

    def __init__(self, seconds: float, line: Line) -> None:
        self.at, self.line = time.monotonic() + seconds, line
        self.is_over = False

    def begin(self) -> None:
        if not _InMain._all:
            _InMain._before = signal.signal(_signal, _InMain._ring)
        _InMain._all.append(self)
        self._set()

    def end(self) -> None:
        if self in _InMain._all:
            _InMain._all.remove(self)
            self._set()

    @staticmethod
    def _set() -> None:
        if _InMain._all:
            wait = min(limit.at for limit in _InMain._all) - time.monotonic()
            signal.setitimer(signal.ITIMER_REAL, max(SOON, wait))
        else:
            signal.setitimer(signal.ITIMER_REAL, 0)
            if callable(_InMain._before):  # else ours stays: the default would end the process at a signal under way
                signal.signal(_signal, _InMain._before)

    @staticmethod
    def _ring(*_: object) -> None:
        due = [limit for limit in _InMain._all if limit.at <= time.monotonic()]
        if due and not due[0].line.between_frames(due[0]._raise):
            signal.setitimer(signal.ITIMER_REAL, SOON)
        elif not due and _InMain._all:
            _InMain._set()

    def _raise(self) -> None:
        self.at, self.is_over = time.monotonic() + AGAIN, True
        _InMain._set()
        raise Overtime


class _InThread:
    """A limit kept by another thread, which raises in this one."""

    def __init__(self, seconds: float, line: Line) -> None:
        import threading

        self.line, self.is_over = line, False
        self._thread = threading.get_ident()
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._timer = threading.Thread(target=self._keep, args=(seconds,), name="limit", daemon=True)

    def begin(self) -> None:
        self._timer.start()

    def end(self) -> None:
        self._ended.set()
        with self._lock:
            if self.is_over:
                _raise_in(self._thread, None)

    def _keep(self, seconds: float) -> None:
        wait = seconds
        while not self._ended.wait(wait):
            wait = AGAIN if self.line.between_frames(self._raise) else SOON

    def _raise(self) -> None:
        with self._lock:
            if not self._ended.is_set():
                self.is_over = True
                _raise_in(self._thread, Overtime)


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    """Lets a thread find an exception at its next instruction, or takes back one that it has not found yet."""
    import ctypes

    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error) if error else None)
