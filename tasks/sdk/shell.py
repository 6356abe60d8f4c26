"""Runs an author's shell script and answers its `runboard` commands over a Unix socket.

The script's stdin is empty, or any `cat` would eat frames. One command is one connection: a line of JSON each way.
"""

from __future__ import annotations

import os
import select
import signal
import socket

from .canonical import Unfit, decode, encode
from .errors import ChildFailed, Misuse, SignalTimeout
from .verbs import ask, checkpoint, log, output, progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .channel import Channel
    from .context import Run

SOCKET = "/work/.runboard"


def serve(run: Run, line: Channel) -> tuple[int, int | None]:
    """Runs the script to its end; returns its exit code and the signal that killed it, if one did."""
    wake, woken = os.pipe()
    for fd in (wake, woken):
        os.set_blocking(fd, False)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: None)  # the script gets its own; this process has to outlive it
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(SOCKET)
        listener.listen(64)
        script = _spawn(run)
        while True:
            ready, _, _ = select.select([listener.fileno(), wake], [], [])
            if listener.fileno() in ready:
                _answer(run, listener)
            if wake in ready:
                os.read(wake, 4096)
                ended = _reap(script)
                if ended is not None:
                    return ended


def handle(run: Run, request: dict[str, Any]) -> Any:
    """What a verb of the command line comes to. Raises Misuse or Unfit with words for its author."""
    verb = request.pop("verb")
    if verb == "known":
        return _known(run, **request)
    if verb == "record":
        return _record(run, **request)
    if verb in ("sleep", "run", "signal"):
        return _wait(verb, request)
    verbs: dict[str, Callable[..., Any]] = {"ask": ask, "progress": progress, "output": output, "log": _log}
    return (verbs | {"checkpoint": _checkpoint})[verb](**request)


def _wait(verb: str, request: dict[str, Any]) -> Any:
    from . import waits  # only a script that waits has to wait for it to load

    if "until" in request:
        from datetime import datetime

        try:
            request["until"] = datetime.fromisoformat(request["until"])
        except ValueError as error:
            raise Misuse(f"until is a moment like 2030-01-31T08:00:00Z: {error}") from None
    verbs: dict[str, Callable[..., Any]] = {"sleep": waits.sleep, "run": waits.run, "signal": waits.wait_for_signal}
    return verbs[verb](**request)


def _checkpoint(name: str, data: list[Any]) -> Any:
    return checkpoint(name, *data)


def _known(run: Run, *, key: str, input_hash: str) -> dict[str, Any]:
    occurrence = run.next(key)
    entry = run.known(key, occurrence, kind="step", input_hash=input_hash)
    name = f"{run.start['run']}:{key}:{occurrence}"
    return {"occurrence": occurrence, "idempotency_key": name, "entry": entry and {"value": entry["value"]}}


def _record(run: Run, *, key: str, occurrence: int, input_hash: str, value: Any, seconds: float) -> None:
    if run.next(key) != occurrence:
        raise Misuse(f"step “{key}” was recorded meanwhile: give steps that run side by side keys of their own")
    frame = {"t": "step", "key": key, "occurrence": occurrence, "input_hash": input_hash}
    run.record(frame | {"value": value, "seconds": seconds})


def _log(level: str, message: str) -> None:
    getattr(log, level)(message)


def _spawn(run: Run) -> int:
    path = run.start["source"]
    with open(path, "rb") as file:
        has_interpreter = file.read(2) == b"#!"
    command = [path] if has_interpreter else ["/bin/sh", path]
    environment = os.environ | {"RUNBOARD_INPUT": run.start["input"], "RUNBOARD_SOCKET": SOCKET}
    return os.posix_spawn(command[0], command, environment, setsigdef=[signal.SIGPIPE])


def _answer(run: Run, listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection, connection.makefile("rwb") as stream:
        try:
            answer = {"value": handle(run, decode(stream.readline()))}
        except (Misuse, Unfit, ChildFailed, SignalTimeout, TypeError, KeyError, AttributeError) as error:
            answer = {"error": str(error)}
        try:
            stream.write(encode(answer) + b"\n")
            stream.flush()
        except OSError:
            pass  # the command was killed meanwhile


def _reap(script: int) -> tuple[int, int | None] | None:
    """Buries every process that has ended (orphans come to us); how the script ended, if it has."""
    ended = None
    try:
        while (found := os.waitpid(-1, os.WNOHANG)) != (0, 0):
            if found[0] == script:
                code = os.waitstatus_to_exitcode(found[1])
                ended = (code, None) if code >= 0 else (128 - code, -code)
    except ChildProcessError:
        pass
    return ended
