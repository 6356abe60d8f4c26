"""The process that runs registered actions: unsandboxed, one attempt after another, speaking the same frames.

It is the operator's own code, so it is trusted with this machine but not with the house: it holds no database connection and
no secret, dies with its worker, and is killed at a deadline, a cancel or a question and replaced by a fresh one.
Started as `python -m workers.runtimes.helper MODULE …` with the channel on fd 0.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Any

import tasks.sdk.testing  # noqa: F401  (loaded before it is given its second name, `runboard.testing`)
from tasks.sdk.__main__ import load, take_over
from tasks.sdk.channel import Channel, flush
from tasks.sdk.context import Run, adopt
from tasks.sdk.errors import Fatal
from tasks.sdk.script import HERE, guarded, invoke
from workers.runtimes.actions import Actions, registered

PR_SET_PDEATHSIG = 1


def main(modules: list[str]) -> None:
    """Registers the modules' actions, then runs attempts until the worker is gone."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the house, which drains first
    fd = take_over()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    actions = registered(modules)
    variables = dict(os.environ)
    Channel(fd).send({"t": "hello", "v": 1, "runtime": ""})
    while True:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        line = Channel(fd)
        code = _attempt(line, actions)
        _restore(variables)
        flush()
        line.send({"t": "done", "code": code, "signal": None})


def _attempt(line: Channel, actions: Actions) -> int:
    start = line.receive()
    while start["t"] != "start":  # a cancel that came too late for the attempt before
        start = line.receive()
    run = Run(line, start, input=load(start["input"]), memo=load(start["memo"]) or [])
    adopt(run)
    os.environ.update(start.get("variables") or {})
    signal.signal(signal.SIGTERM, lambda *_: line.interrupt())
    return guarded(run, lambda: _call(actions, start["handler"], run.input), hidden=(HERE, __file__))


def _call(actions: Actions, handler: str, value: Any) -> Any:
    if handler not in actions.functions:
        raise Fatal(actions.why_not(handler))
    return invoke(actions.functions[handler], value)


def _restore(variables: dict[str, str]) -> None:
    for name in os.environ.keys() - variables.keys():
        del os.environ[name]
    os.environ.update(variables)


if __name__ == "__main__":
    main(sys.argv[1:])
