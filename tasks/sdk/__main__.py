"""The first and the last thing in a sandbox: takes the channel, says hello, runs the author's code, tells how it ended."""

from __future__ import annotations

import fcntl
import os
import signal
import sys

from .canonical import decode
from .channel import Channel, flush, line_of
from .context import Run, adopt
from .script import perform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

HIGH = 100  # above what shells redirect and programs expect


def main(runtime: str = "python") -> NoReturn:
    """Says hello on fd 0 and runs one attempt of `runtime`."""
    os.write(0, line_of({"t": "hello", "v": 1, "runtime": runtime}))
    run(runtime)


def run(runtime: str) -> NoReturn:
    """Runs one attempt, hello having been said, and ends the process with the author's exit code."""
    line = Channel(take_over())
    start = line.receive()
    attempt = Run(line, start, input=load(start.get("input")), memo=load(start.get("memo")) or [])
    adopt(attempt)
    code, killed_by = _perform(attempt, line, runtime)
    flush()
    line.send({"t": "done", "code": code, "signal": killed_by})
    os._exit(code)


def take_over() -> int:
    """The channel, moved away from fd 0, where the author's code finds an empty file instead."""
    fd: int = fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, HIGH)
    nothing = os.open("/dev/null", os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return fd


def load(path: str | None) -> Any:
    """The JSON value in a file of the start frame, or None without one."""
    if not path:
        return None
    with open(path, "rb") as file:
        return decode(file.read())


def _perform(run: Run, line: Channel, runtime: str) -> tuple[int, int | None]:
    if runtime == "shell":
        from .shell import serve

        return serve(run, line)
    signal.signal(signal.SIGTERM, lambda *_: line.interrupt())
    if sys.stdout is not None:
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    return perform(run, run.start["source"]), None


if __name__ == "__main__":
    main(*sys.argv[1:2])
