"""How an author's Python is called: its marked function with the input's members, or the module itself where none is marked."""

from __future__ import annotations

import signal
import sys

from .canonical import Unfit, encode
from .errors import Misuse, told

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from .context import Run

HERE = (lambda: None).__code__.co_filename.rpartition("/")[0] + "/"


def perform(run: Run, path: str) -> int:
    """Runs the script at `path` and tells the house its output or its error. Returns the exit code."""
    return guarded(run, lambda: _finished(call(load(path), run.input)))


def guarded(run: Run, work: Callable[[], Any], *, hidden: tuple[str, ...] = (HERE,)) -> int:
    """Does `work`, tells its result or what it raised, and returns the exit code."""
    try:
        say(run, work())
    except SystemExit as leaving:
        return _code(leaving)
    except BaseException as error:
        _deaf()
        run.line.send(told(error, hidden=hidden))
        return 1
    return 0


def say(run: Run, value: Any) -> None:
    """Tells the output, unless there is nothing to tell or the code told it itself."""
    if value is None or run.said_output:
        return
    try:
        encode(value)
    except Unfit as error:
        raise Misuse(f"the output must be JSON: {error}") from None
    run.line.send({"t": "output", "value": value})


def load(path: str) -> ModuleType:
    """The author's module, run as `__main__`, so that a plain script behaves as it does on their own machine."""
    with open(path, "rb") as file:
        code = compile(file.read(), path, "exec", dont_inherit=True)
    module = type(sys)("__main__")
    module.__file__ = path
    sys.modules["__main__"] = module
    exec(code, module.__dict__)  # noqa: S102  (this is what a sandbox is for)
    return module


def call(module: ModuleType, value: Any) -> Any:
    """The result of the module's marked function, or None where it marks none."""
    marked = [member for member in vars(module).values() if _is_marked(member, module)]
    if len({id(member) for member in marked}) > 1:
        names = ", ".join(sorted({member.__name__ for member in marked}))
        raise Misuse(f"a script marks one function with @runboard.task; this one marks {names}")
    return invoke(marked[0], value) if marked else None


def invoke(function: Callable[..., Any], value: Any) -> Any:
    """Calls a task's function with its input and waits for it if it is async."""
    result = function(**value) if isinstance(value, dict) else function() if value is None else function(value)
    if hasattr(result, "__await__"):
        import asyncio

        return asyncio.run(_awaited(result))
    return result


def finish_threads() -> None:
    """Waits for the threads the code started, as Python itself does at the end, then runs its exit functions."""
    threading = sys.modules.get("threading")
    if threading is not None:
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and not thread.daemon:
                thread.join()
    atexit = sys.modules.get("atexit")
    if atexit is not None:
        atexit._run_exitfuncs()


def _finished(result: Any) -> Any:
    finish_threads()
    return result


async def _awaited(result: Any) -> Any:
    return await result


def _is_marked(member: Any, module: ModuleType) -> bool:
    return callable(member) and hasattr(member, "__runboard__") and getattr(member, "__module__", "") == module.__name__


def _code(leaving: SystemExit) -> int:
    """The exit code of sys.exit(code) or sys.exit("words"), which Python prints."""
    if leaving.code is None:
        return 0
    if isinstance(leaving.code, int):
        return leaving.code & 0xFF
    print(leaving.code, file=sys.stderr)
    return 1


def _deaf() -> None:
    """From here on the ending itself must not be interrupted by the SIGTERM that may have caused it."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
