"""What the house says, as `name| line`: from a thread, so that a terminal that stands still cannot stop the house."""

import contextlib
import queue
import threading

KEPT = 10_000  # lines waiting for the terminal; more are counted, not kept


class Terminal:
    def __init__(self) -> None:
        self._waiting: queue.Queue[str | None] = queue.Queue(KEPT)
        self._dropped = 0
        self._writer = threading.Thread(target=self._write, name="terminal", daemon=True)
        self._writer.start()

    def say(self, name: str, line: str) -> None:
        self.print(f"{name}| {line}")

    def print(self, line: str) -> None:
        try:
            self._waiting.put_nowait(line)
        except queue.Full:
            self._dropped += 1

    def close(self) -> None:
        """Give what is still waiting a moment to be written."""
        with contextlib.suppress(queue.Full):
            self._waiting.put_nowait(None)
        self._writer.join(0.5)

    def _write(self) -> None:
        while (line := self._waiting.get()) is not None:
            with contextlib.suppress(OSError, ValueError):
                print(line, flush=True)
            if self._dropped:
                dropped, self._dropped = self._dropped, 0
                self.say("supervisor", f"{dropped} lines were not shown: the terminal did not take them in time")
