"""An operator's module of registered actions, as RUNBOARD_ACTIONS would name it."""

import os
import subprocess
import time

from tasks import sdk as runboard


@runboard.task(name="test.greet")
def greet(name: str = "you") -> dict[str, str]:
    print("greeting", name)
    runboard.progress(0.5, "half")
    return {"greeting": str(runboard.step("greet", "hello {}".format, name))}


@runboard.task(name="test.gateway")
def gateway() -> None:
    raise ConnectionError("502 from the gateway")


@runboard.task(name="test.ask")
async def ask() -> str:
    return str(runboard.ask("Which?", options=["a", "b"]))


@runboard.task(name="test.wait")
def wait() -> list[object]:
    patience = runboard.options(timeout=0.5, max_retries=1, retry_interval=0)
    naps = iter([30, 0])
    patience.step("nap", lambda: time.sleep(next(naps)))
    runboard.sleep(60)
    return [runboard.run("child", {"n": 1}), runboard.wait_for_signal("paid")]


@runboard.task(name="test.environment")
def environment() -> dict[str, str]:
    return dict(os.environ)


@runboard.task(name="test.change_environment")
def change_environment() -> None:
    os.environ["LEFT"] = "behind"


@runboard.task(name="test.pid")
def pid() -> int:
    return os.getpid()


@runboard.task(name="test.hang")
def hang() -> None:
    print("hanging", flush=True)
    while True:
        try:
            time.sleep(60)
        except BaseException:
            print("not now")


@runboard.task(name="test.polite")
def polite() -> None:
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        print("cleaned up")


@runboard.task(name="test.leave_a_child")
def leave_a_child() -> int:
    return subprocess.Popen(["sleep", "300"]).pid


@runboard.task(name="test.exit")
def leave() -> None:
    os._exit(9)


@runboard.task(name="test.memory")
def memory() -> int:
    block = bytearray(200 * 2**20)
    time.sleep(60)
    return len(block)


def unmarked() -> None:
    """Not an action."""
