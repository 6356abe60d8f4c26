"""The `runboard` command inside a sandbox: the verbs for shell scripts."""

from __future__ import annotations

import os
import socket
import sys
import time

from .canonical import Unfit, decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

USAGE = """usage: runboard VERB …
  step KEY -- COMMAND …       run a command once in the life of the execution; prints what it printed
  ask [--key K] [--recommended V] [--deadline SECONDS] [--default V] PROMPT [OPTION …]     prints the answer
  approve [--key K] PROMPT    asks for a yes or a no; the exit code is 0 or 1
  sleep [--key K] SECONDS | --until MOMENT
  run [--key K] [--title T] [--queue Q] [--priority P] TASK [JSON]      runs a child execution; prints its output
  wait-for-signal [--key K] [--timeout SECONDS] NAME                    prints what came with it
  checkpoint NAME [JSON]      records your state; without JSON prints the newest
  progress FRACTION [MESSAGE]
  log [--level LEVEL] TEXT    debug, info, warning or error
  input [MEMBER]              the input as JSON, or one member of it
  output JSON                 the result
"""


class Usage(Exception):
    """The command was called as it cannot be called."""


def main() -> None:
    """Does what the arguments say and exits: 0 done, 1 no (approve) or an error, 2 wrong usage, else a step's own code."""
    try:
        sys.exit(_verb(sys.argv[1:2])(sys.argv[2:]))
    except Usage as error:
        sys.exit(_complain(f"runboard: {error}\n{USAGE}", 2))
    except Unfit as error:
        sys.exit(_complain(f"runboard: {error}\n", 2))
    except (OSError, RuntimeError) as error:
        sys.exit(_complain(f"runboard: {error}\n", 1))


def _verb(words: list[str]) -> Callable[[list[str]], int]:
    verbs = {"step": _step, "ask": _ask, "approve": _approve, "progress": _progress, "log": _log, "input": _input}
    verbs |= {"output": _output, "sleep": _sleep, "run": _run_child, "checkpoint": _checkpoint}
    verbs["wait-for-signal"] = _wait_for_signal
    if not words or words[0] not in verbs:
        raise Usage(f"there is no verb “{' '.join(words)}”")
    return verbs[words[0]]


def _step(words: list[str]) -> int:
    match words:
        case [key, "--", _, *_]:
            command = words[2:]
        case _:
            raise Usage("step wants a key, --, and a command")
    input_hash = _digest(command)
    known = _say("known", key=key, input_hash=input_hash)
    if known["entry"] is not None:
        return _print(known["entry"]["value"])
    began = time.monotonic()
    code, printed = _run(command, known["idempotency_key"])
    if code:
        sys.stdout.write(printed)
        return code
    value, seconds = printed.rstrip("\n"), round(time.monotonic() - began, 6)
    _say("record", key=key, occurrence=known["occurrence"], input_hash=input_hash, value=value, seconds=seconds)
    return _print(value)


def _ask(words: list[str]) -> int:
    said, words = _options(words, {"key", "recommended", "deadline", "default"})
    if not words:
        raise Usage("ask wants a question")
    said["deadline"] = _seconds(said["deadline"]) if "deadline" in said else None
    return _print(_say("ask", prompt=words[0], options=words[1:] or None, **said))


def _approve(words: list[str]) -> int:
    said, words = _options(words, {"key"})
    if len(words) != 1:
        raise Usage("approve wants one question")
    return 0 if _say("ask", prompt=words[0], kind="approve", **said) is True else 1


def _sleep(words: list[str]) -> int:
    said, words = _options(words, {"key", "until"})
    if len(words) != (0 if "until" in said else 1):
        raise Usage("sleep wants seconds, or --until a moment")
    _say("sleep", **said, **({"seconds": _seconds(words[0])} if words else {}))
    return 0


def _run_child(words: list[str]) -> int:
    said, words = _options(words, {"key", "title", "queue", "priority"})
    if len(words) not in (1, 2):
        raise Usage("run wants a task, and its input as JSON")
    return _print(_say("run", task=words[0], input=_json(words[1]) if words[1:] else None, **said))


def _checkpoint(words: list[str]) -> int:
    if len(words) not in (1, 2):
        raise Usage("checkpoint wants a name, and JSON to record")
    value = _say("checkpoint", name=words[0], data=[_json(word) for word in words[1:]])
    return 0 if words[1:] else _print(value)


def _wait_for_signal(words: list[str]) -> int:
    said, words = _options(words, {"key", "timeout"})
    more, rest = _options(words[1:], {"key", "timeout"})
    said |= more
    if not words or rest:
        raise Usage("wait-for-signal wants one name")
    said["timeout"] = _seconds(said["timeout"]) if "timeout" in said else None
    return _print(_say("signal", name=words[0], **said))


def _progress(words: list[str]) -> int:
    if not words:
        raise Usage("progress wants a fraction from 0 to 1")
    _say("progress", fraction=_seconds(words[0]), message=" ".join(words[1:]))
    return 0


def _log(words: list[str]) -> int:
    said, words = _options(words, {"level"})
    level = said.get("level", "info")
    if level not in ("debug", "info", "warning", "error"):
        raise Usage("a level is debug, info, warning or error")
    _say("log", level=level, message=" ".join(words))
    return 0


def _input(words: list[str]) -> int:
    with open(os.environ["RUNBOARD_INPUT"], "rb") as file:
        value = decode(file.read())
    for member in words:
        if not isinstance(value, dict) or member not in value:
            raise RuntimeError(f"the input has no member “{member}”")
        value = value[member]
    return _print(value)


def _output(words: list[str]) -> int:
    if len(words) != 1:
        raise Usage("output wants one JSON value")
    _say("output", value=_json(words[0]))
    return 0


def _say(verb: str, **members: Any) -> Any:
    """One request to the process that holds the channel; its answer's value."""
    answer = _answer(encode({"verb": verb} | members) + b"\n")
    while not answer:  # the run is ending, and we with it: no further line of the script may run
        time.sleep(60)
    told = decode(answer)
    if "error" in told:
        raise RuntimeError(told["error"])
    return told["value"]


def _answer(request: bytes) -> bytes:
    """The line that comes back, or nothing where the process that holds the channel is gone."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(os.environ["RUNBOARD_SOCKET"])
            with connection.makefile("rwb") as stream:
                stream.write(request)
                stream.flush()
                return stream.readline()
    except ConnectionError:
        return b""


def _run(command: list[str], idempotency_key: str) -> tuple[int, str]:
    """A command's exit code and what it printed."""
    reading, writing = os.pipe()
    environment = os.environ | {"RUNBOARD_IDEMPOTENCY_KEY": idempotency_key}
    actions = [(os.POSIX_SPAWN_DUP2, writing, 1)]
    try:
        pid = os.posix_spawnp(command[0], command, environment, file_actions=actions)
    except OSError as error:
        return _complain(f"runboard: {command[0]}: {error.strerror}\n", 127), ""
    os.close(writing)
    with open(reading, "rb") as stream:
        printed = stream.read()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code if code >= 0 else 128 - code, printed.decode(errors="replace").replace("\0", "\ufffd")


def _options(words: list[str], known: set[str]) -> tuple[dict[str, Any], list[str]]:
    """Leading `--name value` pairs, and the words after them."""
    said: dict[str, Any] = {}
    while words and words[0].startswith("--"):
        name = words[0][2:]
        if name == "":
            return said, words[1:]
        if name not in known or not words[1:]:
            raise Usage(f"--{name} is not known here, or lacks its value")
        said[name], words = words[1], words[2:]
    return said, words


def _json(word: str) -> Any:
    return decode(word.encode(errors="surrogateescape"))


def _seconds(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise Usage(f"“{word}” is not a number") from None


def _digest(command: list[str]) -> str:
    import hashlib

    return hashlib.sha256(b"\0".join(os.fsencode(word) for word in command)).hexdigest()


def _print(value: Any) -> int:
    """Text as it is, anything else as JSON."""
    sys.stdout.write((value if isinstance(value, str) else encode(value).decode()) + "\n")
    return 0


def _complain(words: str, code: int) -> int:
    sys.stderr.write(words)
    return code
