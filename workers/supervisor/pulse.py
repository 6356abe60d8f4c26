"""A child's sign of life to its supervisor: a byte down a pipe, so that one that stands still is found and replaced."""

import os
import threading
import time

EVERY = 0.5  # seconds


def start() -> None:
    """Give the sign from a thread of its own, where a supervisor asked for one; do nothing elsewhere."""
    asked = os.environ.pop("RUNBOARD_PULSE_FD", None)
    if asked is not None:
        fd = int(asked)
        os.set_inheritable(fd, False)
        threading.Thread(target=beat, args=(fd,), name="pulse", daemon=True).start()


def beat(fd: int) -> None:
    while True:
        try:
            os.write(fd, b".")
        except OSError:
            return  # the supervisor is gone, and this process with it
        time.sleep(EVERY)
