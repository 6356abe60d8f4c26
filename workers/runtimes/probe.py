"""Can this machine sandbox, and what does it keep in? Answered by trying: a real sandbox runs a real program.

The answer is asked for at worker start, is shown by `manage.py sandbox_doctor` and the workers page, and is kept: a good one
for ever, a bad one for half a minute, so that installing what is missing needs no restart.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from dataclasses import dataclass

from tasks.policy import Limits
from tasks.sdk.protocol import Error, Frame, Output
from workers.runtimes.base import EnvironmentFailed, EnvironmentUnavailable, Exit, Order
from workers.runtimes.bundle import interpreter
from workers.runtimes.bwrap import MEND, BwrapRuntime, BwrapSandbox

BAD_FOR = 30.0
PROGRAM = """
import os, socket, runboard

def blocked(attempt):
    try:
        attempt()
    except OSError:
        return True
    return False

def userns():
    pid = os.fork()
    if pid == 0:
        import ctypes
        os._exit(0 if ctypes.CDLL(None).unshare(0x10000000) else 1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

port, outside = runboard.input()["port"], ("192.0.2.1", 9)
with open("/proc/self/limits") as limits:
    processes = next(line.split()[2] for line in limits if line.startswith("Max processes"))
with open("/proc/self/status") as status:
    told = dict(line.split(":", 1) for line in status)
runboard.output({
    "the house's loopback is out of reach": blocked(lambda: socket.create_connection(("127.0.0.1", port), 2)),
    "there is no network": blocked(lambda: socket.create_connection(outside, 2)),
    "the host's files are out of sight": not any(map(os.path.exists, ["/etc/shadow", "/root", "/home", "/var", "/sys"])),
    "the system is read-only": blocked(lambda: open("/usr/x", "w")) and blocked(lambda: open("/x", "w")),
    "no further user namespace can be made": userns(),
    "the host's processes are out of sight": os.getpid() == 1 and all(
        int(name) < 100 for name in os.listdir("/proc") if name.isdigit()),
    "the number of processes is limited": processes == "16",
    "the code runs as nobody, without a right to more": os.getuid() == 65534
        and int(told["CapEff"], 16) == int(told["CapBnd"], 16) == 0 and told["NoNewPrivs"].strip() == "1",
    "system calls are filtered": told["Seccomp"].strip() == "2",
})
"""
ADVICE = (
    ("max_user_namespaces", "sysctl -w user.max_user_namespaces=15000"),
    ("No space left", "sysctl -w user.max_user_namespaces=15000"),
    ("RTM_NEWADDR", "let AppArmor allow it: apt install apparmor-profiles, or a profile for /usr/bin/bwrap with “userns,”"),
    ("uid map", "let AppArmor allow it: a profile for /usr/bin/bwrap with “userns,”"),
    ("mount proc", "in Docker: --security-opt systempaths=unconfined"),
    ("namespace", "sysctl -w kernel.unprivileged_userns_clone=1 (in Docker: a seccomp profile that allows unshare and clone)"),
    ("Unknown option", "install bubblewrap ≥ 0.8 (Debian 12, Ubuntu 24.04 or newer)"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing a sandbox must do, and whether it does it here."""

    name: str
    ok: bool


@dataclass(frozen=True, slots=True)
class Probe:
    """What was found. `problem` is one sentence with its mend, empty when all is well."""

    ok: bool
    driver: str
    version: str
    problem: str
    python: str = ""
    memory: str = "rlimit+poll"  # or cgroup
    findings: tuple[Finding, ...] = ()
    milliseconds: float = 0.0


class Keeper:
    """The last answer and when it was found."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._probe: Probe | None = None
        self._at = 0.0

    def probe(self, *, fresh: bool) -> Probe:
        with self._lock:
            now = time.monotonic()
            if fresh or self._probe is None or (not self._probe.ok and now > self._at + BAD_FOR):
                self._probe, self._at = _tried(), now
            return self._probe


_keeper = Keeper()


def probe(*, fresh: bool = False) -> Probe:
    """What this machine's sandbox does, tried once and kept; `fresh` tries again."""
    return _keeper.probe(fresh=fresh)


def _tried() -> Probe:
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        return Probe(False, "bwrap", "", f"bubblewrap is not installed, so nothing can be sandboxed here: {MEND}")
    version = _version(bwrap)
    began = time.monotonic()
    try:
        python = interpreter()
        frames, ended, counts_files = _run()
    except (EnvironmentUnavailable, EnvironmentFailed) as error:
        return Probe(False, "bwrap", version, str(error))
    spent = (time.monotonic() - began) * 1000
    findings = _findings(frames, counts_files=counts_files)
    problem = _problem(findings, frames, ended)
    return Probe(
        not problem, "bwrap", version, problem, f"{python.path} {python.version}", findings=findings, milliseconds=spent
    )


def _version(bwrap: str) -> str:
    try:
        said = subprocess.run(
            [bwrap, "--version"], capture_output=True, text=True, timeout=5, env={}, check=False
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return "?"
    return said.removeprefix("bubblewrap").strip()


def _run() -> tuple[list[Frame], Exit, bool]:
    """The program in a real sandbox, beside a real listener on the house's loopback; whether its files were counted."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        order = Order(
            execution="probe",
            attempt=1,
            task="probe",
            source=PROGRAM,
            input={"port": listener.getsockname()[1]},
            limits=Limits(pids=16, timeout_seconds=10),
        )
        sandbox = BwrapRuntime(owner="probe").prepare(order)
        try:
            frames = list(sandbox.frames())
        finally:
            ended = sandbox.close()
    return frames, ended, isinstance(sandbox, BwrapSandbox) and sandbox.counts_files


def _findings(frames: list[Frame], *, counts_files: bool) -> tuple[Finding, ...]:
    values = [frame.value for frame in frames if isinstance(frame, Output)]
    inside = [Finding(name, ok is True) for name, ok in values[0].items()] if values else []
    return (*inside, Finding("the number of files is limited", counts_files)) if inside else ()


def _problem(findings: tuple[Finding, ...], frames: list[Frame], ended: Exit) -> str:
    if not ended.said_hello:
        words = ended.words.splitlines()[-1] if ended.words else f"it ended with {ended.code or ended.signal}"
        advice = next((mend for sign, mend in ADVICE if sign in ended.words), "see docs/operations.md, “Sandbox”")
        return f"A sandbox could not be made here (“{words[:300]}”): {advice}"
    errors = [f"{frame.type}: {frame.message}" for frame in frames if isinstance(frame, Error)]
    if errors or not findings:
        return f"A sandbox was made but its test program failed ({'; '.join(errors) or ended}): please report this"
    broken = [finding.name for finding in findings if not finding.ok]
    return f"A sandbox was made but it is not tight: it is not so that {', nor that '.join(broken)}" if broken else ""
