import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable

import pytest

from workers.supervisor.child import Child, Lines, Program

Keep = Callable[..., Child]


class Kept:
    """Children kept for one test, and what they and the supervisor said."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []
        self.changes = asyncio.Event()
        self.children: list[tuple[Child, asyncio.Task[None]]] = []

    def keep(self, script: str, **members: object) -> Child:
        program = Program("part", [sys.executable, "-c", script], dict(os.environ), **members)  # type: ignore[arg-type]
        child = Child(program, say=self.say, changed=self.changes.set)
        self.children.append((child, asyncio.create_task(child.keep())))
        return child

    def say(self, name: str, line: str) -> None:
        self.said.append((name, line))
        self.changes.set()

    async def until(self, true: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not true():
                self.changes.clear()
                await self.changes.wait()

    async def end(self) -> None:
        for child, keeping in self.children:
            await child.stop(patience=0)
            await keeping


@pytest.fixture
async def kept() -> AsyncIterator[Kept]:
    kept = Kept()
    yield kept
    await kept.end()


async def test_one_that_dies_is_started_again_and_the_delay_grows(kept: Kept) -> None:
    child = kept.keep("raise SystemExit(3)")
    await kept.until(lambda: child.restarts == 3)
    said = [line for name, line in kept.said if name == "supervisor"]
    assert said[:3] == [f"part ended with exit code 3; it starts again in {delay} s" for delay in (0.1, 0.2, 0.4)]


async def test_one_that_cannot_be_started_is_tried_again(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", fail)
    child = kept.keep("")
    await kept.until(lambda: child.restarts == 2)
    assert "could not be started (no more processes)" in kept.said[0][1]


async def test_what_it_says_is_told_under_its_name(kept: Kept) -> None:
    kept.keep("import sys, time; print('one'); print('two', file=sys.stderr, flush=True); time.sleep(60)")
    await kept.until(lambda: {("part", "one"), ("part", "two")} <= set(kept.said))


async def test_lines_that_it_always_says_can_be_left_out(kept: Kept) -> None:
    kept.keep("import time; print('noise'); print('news', flush=True); time.sleep(60)", mute=("noise",))
    await kept.until(lambda: kept.said)
    assert kept.said == [("part", "news")]


async def test_one_whose_own_child_holds_its_output_open_is_still_seen_to_end(kept: Kept) -> None:
    child = kept.keep(
        "import subprocess; subprocess.Popen(['sleep', '60'], start_new_session=True); raise SystemExit(1)"
    )
    await kept.until(lambda: child.restarts == 1)


async def test_one_that_stands_still_is_killed(kept: Kept) -> None:
    child = kept.keep("import time; time.sleep(60)", pulse=0.3)
    await kept.until(lambda: child.restarts == 1)
    assert ("supervisor", "part gave no sign for 0 s; it is killed") in kept.said


async def test_its_sign_of_life_is_felt(kept: Kept) -> None:
    child = kept.keep("from workers.supervisor import pulse; import time; pulse.start(); time.sleep(60)", pulse=60)
    await kept.until(lambda: child.state == "running")
    started = child.signed_at
    async with asyncio.timeout(20):
        while child.signed_at == started:
            await asyncio.sleep(0.01)


async def test_one_that_is_told_to_stop_may_finish(kept: Kept) -> None:
    polite = "import signal, time; signal.signal(15, lambda *_: (print('done'), exit()))"
    child = kept.keep(f"{polite}; print('up', flush=True); time.sleep(60)")
    await kept.until(lambda: kept.said)
    await child.stop(patience=10)
    await kept.until(lambda: child.state == "stopped")
    assert kept.said == [("part", "up"), ("part", "done")]


async def test_one_that_will_not_stop_is_killed_with_its_group(kept: Kept) -> None:
    stubborn = "import signal; signal.signal(15, signal.SIG_IGN)"
    script = f"{stubborn}; import os, time; os.write(1, b'%d\\n' % os.fork()); time.sleep(60)"
    child = kept.keep(script)
    await kept.until(lambda: len(kept.said) == 2)
    pids = [int(line) for _, line in kept.said if line != "0"]
    await child.stop(patience=0.1)
    await kept.until(lambda: child.state == "stopped")
    assert not any(lives(pid) for pid in pids)


async def test_one_that_is_stopped_while_it_waits_to_start_again_does_not_start(kept: Kept) -> None:
    child = kept.keep("raise SystemExit(1)")
    await kept.until(lambda: child.state == "restarting")
    await child.stop(patience=0)
    await kept.until(lambda: child.state == "stopped")
    assert child.pid is None


def lives(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIG_DFL)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
        return " Z " not in file.read()


def test_bytes_become_lines_and_one_without_an_end_is_cut() -> None:
    said: list[str] = []
    feed = Lines(said.append)
    for chunk in (b"a", b"b\nc\n", b"\xff\n", b"x" * 9000, b"rest", b""):
        feed(chunk)
    assert said == ["ab", "c", "\ufffd", "x" * 9000, "rest"]
