"""A second machine on this one: a network and a host name of its own, and a cable to the house that can be pulled.

Made of two namespaces (`unshare --net --uts`), which needs root; inside a container it needs CAP_SYS_ADMIN. Redis of a house
listens on a Unix socket, so its port on the cable is carried there by `lines.Line`.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from workers.bench.scratch import ROOT, Missing, end, spawn, until
from workers.chaos.houses import MARK, Broken

HERE, THERE = "10.203.77.1", "10.203.77.2"
HOST = "far-away"


@dataclass
class Machine:
    """`run` starts a process there."""

    name: str
    cable: str
    holder: subprocess.Popen[bytes]
    home: Path

    def run(self, *command: str, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        """manage.py with RUNBOARD_HOME of its own, for a house whose addresses `environment` names."""
        inside = ["nsenter", "--target", str(self.holder.pid), "--net", "--uts"]
        full = {**environment, "RUNBOARD_HOME": str(self.home)}
        with (self.home / "worker.log").open("ab") as log:
            return spawn([*inside, sys.executable, ROOT / "manage.py", *command], env=full, stdout=log, cwd=ROOT)

    def pull(self) -> None:
        """The cable, with all that is on its way."""
        _ip("link", "set", self.cable, "down")

    def plug(self) -> None:
        _ip("link", "set", self.cable, "up")


@contextlib.contextmanager
def machine(broken: Broken) -> Iterator[Machine]:
    """One beside this, with the secrets of the house. Raises Missing where this machine may not make one."""
    with contextlib.ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="runboard-far-")))
        (home / MARK).touch()
        (home / "evidence").mkdir()
        for secret in ("secret-key", "secret-keys"):
            with contextlib.suppress(FileNotFoundError):
                (home / secret).write_bytes((broken.home / secret).read_bytes())
        holder = spawn(["unshare", "--net", "--uts", "sh", "-c", f"hostname {HOST} && exec sleep 100000"])
        stack.callback(end, holder)
        cable = f"rb{os.getpid()}"
        until(lambda: holder.poll() is not None or _is_apart(holder.pid), what="no second machine")
        if holder.poll() is not None:
            raise Missing("A second network cannot be made here: it needs root and CAP_SYS_ADMIN.")
        _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", str(holder.pid))
        stack.callback(_ip, "link", "delete", cable, check=False)
        _ip("address", "add", f"{HERE}/24", "dev", cable)
        _ip("link", "set", cable, "up")
        for words in (
            ("link", "set", "lo", "up"),
            ("address", "add", f"{THERE}/24", "dev", "eth0"),
            ("link", "set", "eth0", "up"),
        ):
            subprocess.run(["nsenter", "--target", str(holder.pid), "--net", "ip", *words], check=True)
        yield Machine(HOST, cable, holder, home)


def _is_apart(pid: int) -> bool:
    with contextlib.suppress(OSError):
        names = [Path(f"/proc/{one}/ns/uts").readlink() for one in (pid, os.getpid())]
        time.sleep(0.1)
        return names[0] != names[1]
    return False


def _ip(*words: str, check: bool = True) -> None:
    subprocess.run(["ip", *words], check=check, capture_output=not check)
