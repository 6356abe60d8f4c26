"""Hostile programs in real sandboxes: they achieve nothing, and nothing of them is left.

`play` itself fails a test when a process or a descriptor remains.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.policy import Limits
from tasks.sdk.protocol import Frame, Hello, Output
from tests.workers.runtimes.conftest import OWNER, Played, order
from workers.runtimes import Runtime, Sandbox, janitor, processes
from workers.runtimes.bundle import INSIDE

Play = Callable[..., Played]

MiB = 1024**2
LIMITS = Limits(memory=64 * MiB, disk=8 * MiB, pids=16, timeout_seconds=20)
CHANNEL = """
import os, stat
def is_socket(fd):
    try:
        return stat.S_ISSOCK(os.fstat(fd).st_mode)
    except OSError:
        return False
channel = next(fd for fd in range(256) if is_socket(fd))
"""
ATTEMPT = """
ours = ("pipe:", "socket:", "/dev/null", "/proc/")
import runboard, ctypes, os, socket, subprocess
libc = ctypes.CDLL(None, use_errno=True)
def attempt(work):
    try:
        return work()
    except (OSError, ValueError, KeyError) as error:
        return False
def reads(path):
    with open(path, "rb") as file:
        return bool(file.read(1))
def writes(path):
    with open(path, "wb") as file:
        file.write(b"x")
    return True
def says(*command):
    return subprocess.run(command, capture_output=True).returncode == 0
"""

REACH = {
    "read the password file": 'any(attempt(lambda: reads(p)) for p in ["/etc/shadow", "/proc/1/root/etc/shadow"])',
    "see host files": 'any(map(os.path.exists, ["/root", "/home", "/var", "/srv", "/sys", "/opt", "/boot", "/mnt"]))',
    "see the host's /etc": """set(os.listdir("/etc"))
        - {"alternatives", "ld.so.cache", "localtime", "mime.types", "passwd", "ssl"}""",
    "write to the system": """any(attempt(lambda: writes(p))
        for p in ["/usr/x", "/bin/sh", "/etc/passwd", "/x", "/dev/x", "/run/x"])""",
    "change its own source": 'any(attempt(lambda: writes(p)) for p in ["/task/main.py", "/task/x", "/run/runboard/sdk.zip"])',
    "remove its own mark": """any(attempt(lambda: (os.unlink("/run/sandbox/" + p), True)[1])
        for p in os.listdir("/run/sandbox"))""",
    "read a disk": 'any(attempt(lambda: reads("/dev/" + p)) for p in ["sda", "vda", "mem", "kmsg", "port", "fuse", "kvm"])',
    "make a device": "attempt(lambda: (os.mknod('/work/d', 0o20666, os.makedev(1, 1)), True)[1])",
    "see other processes": "[p for p in os.listdir('/proc') if p.isdigit() and int(p) > 30]",
    "kill outside": "any(attempt(lambda: (os.kill(p, 0), True)[1]) for p in range(31, 40000, 7))",
    "open a raw socket": "attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))",
    "open a packet socket": "attempt(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))",
    "resolve a name": "attempt(lambda: socket.gethostbyname('example.com'))",
    "see a network card": "[name for _, name in socket.if_nameindex() if name != 'lo']",
    "make a user namespace": "libc.unshare(0x10000000) == 0",
    "make a mount namespace": "libc.unshare(0x00020000) == 0",
    "mount": "libc.mount(b'none', b'/work', b'tmpfs', 0, None) == 0",
    "unmount": "any(libc.umount2(p, 2) == 0 for p in [b'/task/main.py', b'/usr', b'/proc', b'/work'])",
    "remount": "libc.mount(b'none', b'/usr', None, 0x20 | 0x1000, None) == 0",
    "change the root": "attempt(lambda: (os.chroot('/work'), True)[1])",
    "become root": "attempt(lambda: (os.setuid(0), True)[1]) or says('su', '-c', 'true') or says('sudo', '-n', 'true')",
    "gain rights by a setuid file": "'NoNewPrivs:\\t1' not in open('/proc/self/status').read()",
    "hold a capability": "int(next(l for l in open('/proc/self/status') if l.startswith('CapEff')).split()[1], 16)",
    "set the clock": "libc.clock_settime(0, (ctypes.c_long * 2)(1, 0)) == 0",
    "reboot": "libc.reboot(0x89ABCDEF) == 0",
    "name the host": "attempt(lambda: (socket.sethostname('owned'), True)[1])",
    "write to the kernel": """any(attempt(lambda: writes(p)) for p in
        ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/sys/vm/drop_caches", "/proc/1/oom_score_adj2"])""",
    "raise its limits": """any(attempt(lambda: (resource.setrlimit(l, (resource.getrlimit(l)[1] + 1,) * 2), True)[1])
        for l in [resource.RLIMIT_NPROC, resource.RLIMIT_DATA, resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE])""",
    "trace a process outside": "any(libc.ptrace(16, p, 0, 0) == 0 for p in range(31, 3000))",
    "read the kernel's log": "libc.klogctl(3, ctypes.create_string_buffer(99), 99) > 0",
    "load a module": "libc.syscall(313, 0, b'', 0) == 0",
    "push into a terminal": "any(attempt(lambda: fcntl.ioctl(fd, 0x5412, b'x') == 0) for fd in (0, 1, 2))",
    "find a terminal": "attempt(lambda: os.open('/dev/tty', os.O_RDWR))",
    "find foreign descriptors": """[t for fd in os.listdir("/proc/self/fd")
        if (t := attempt(lambda: os.readlink("/proc/self/fd/" + fd))) and not t.startswith(ours)]""",
    "push into a terminal with high bits": "libc.syscall(16, 0, ctypes.c_ulong(0x100005412), b'x') == 0",
    "outlive its parent": "libc.prctl(1, 0) == 0",
    "allocate what no limit sees": "attempt(lambda: os.memfd_create('x')) or libc.shmget(0, 4096, 0o1600) >= 0",
    "queue messages in the kernel": "libc.msgget(0, 0o1600) >= 0",
    "use io_uring": "libc.syscall(425, 8, ctypes.create_string_buffer(256)) >= 0",
    "talk to the hypervisor": "attempt(lambda: socket.socket(40, socket.SOCK_STREAM))",
    "speak netfilter": "attempt(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12))",
    "use the kernel's crypto": "attempt(lambda: socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET))",
    "keep keys": "libc.syscall(250, 0, -3, 1) >= 0",
    "load a program into the kernel": "libc.syscall(321, 0, b'', 0) >= 0",
    "trace its own": "libc.ptrace(0, 0, 0, 0) == 0",
    "handle faults itself": "libc.syscall(323, 0) >= 0",
    "clone into namespaces": "libc.syscall(56, 0x10000011, 0, 0, 0, 0) == 0 and os._exit(0)",
    "call what nobody knows yet": "libc.syscall(467, 0, 0, 0, 0) >= 0 or ctypes.get_errno() != 38",
    "use another machine's calls": "libc.syscall(0x40000000 + 39) >= 0",
    "dump its memory to disk": "resource.getrlimit(resource.RLIMIT_CORE) != (0, 0)",
}  # fmt: skip


def test_nothing_outside_can_be_reached(play: Play) -> None:
    checks = "\n".join(f"    {name!r}: lambda: {expression}," for name, expression in REACH.items())
    source = f"{ATTEMPT}\nimport fcntl, resource\nchecks = {{\n{checks}\n}}\n"
    source += (
        "runboard.output({name: repr(found)[:200] for name, check in checks.items() if (found := attempt(check))})"
    )
    assert play(source, limits=Limits(timeout_seconds=20)).output == {}


def test_the_launchers_environment_is_nowhere(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY", "canary-in-the-environment")
    played = play(
        """
import os, glob
for path in glob.glob("/proc/*/environ") + glob.glob("/proc/*/task/*/environ") + glob.glob("/proc/*/cmdline"):
    print(path, open(path).read())
print(os.environ)
"""
    )
    assert "/proc/1/environ" in played.text
    assert "canary" not in played.text
    assert str(Path.cwd()) not in played.text


def test_the_network_is_empty(play: Play) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as loopback,
        socket.create_server(("0.0.0.0", 0)) as everywhere,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        name = f"\0runboard-test-{os.getpid()}"
        abstract.bind(name)
        abstract.listen()
        addresses = [("127.0.0.1", loopback.getsockname()[1]), (_own_address(), everywhere.getsockname()[1])]
        played = play(
            """
import runboard, socket
reached = []
tcp, unix = runboard.input()["tcp"], runboard.input()["unix"]
for family, address in [*((socket.AF_INET, tuple(a)) for a in tcp), (socket.AF_UNIX, unix)]:
    try:
        with socket.socket(family) as s:
            s.settimeout(2)
            s.connect(address if family == socket.AF_INET else "\\0" + address)
        reached.append(address)
    except OSError as error:
        print(address, error)
runboard.output(reached)
""",
            input={"tcp": [*addresses, ("192.0.2.1", 80), ("169.254.169.254", 80)], "unix": name[1:]},
        )
    assert played.output == []
    assert len(played.lines) == 5


def test_a_daemon_does_not_outlive_its_run(play: Play) -> None:
    played = play(
        """
import os, signal, time
if os.fork() == 0:
    os.setsid()
    for number in set(range(1, 65)) - {9, 19, 32, 33}:
        signal.signal(number, signal.SIG_IGN)
    if os.fork() == 0:
        while True: time.sleep(1)
    os._exit(0)
print("left it running")
"""
    )
    assert played.text == "left it running"
    assert played.exit.is_clean


def test_a_daemon_that_keeps_the_pipes_open_does_not_hold_the_slot(play: Play) -> None:
    played = play("import subprocess\nsubprocess.Popen(['sleep', '60'])\nprint('gone')")
    assert played.exit.is_clean
    assert played.seconds < 5


def test_closing_everything_and_going_on_is_ended_by_the_clock(play: Play) -> None:
    source = "import os, time\nos.closerange(0, 256)\ntime.sleep(60)"
    assert play(source, limits=Limits(timeout_seconds=0.3)).exit.cause == "timeout"


def test_stopping_itself_does_not_stop_the_clock(play: Play) -> None:
    source = "import os, signal\nif os.fork():\n    os.kill(0, signal.SIGSTOP)\nsignal.pause()"
    assert play(source, limits=Limits(timeout_seconds=0.3)).exit.cause == "timeout"


@pytest.mark.parametrize(
    "bomb",
    [
        "while True:\n    try: os.fork()\n    except OSError: break\ntime.sleep(0.2)",
        "try:\n    while True: Thread(target=time.sleep, args=(9,), daemon=True).start()\nexcept RuntimeError: pass",
    ],
    ids=["forks", "threads"],
)
def test_a_bomb_of_processes_stays_within_its_limit(play: Play, bomb: str) -> None:
    most = 0

    def count(frame: Frame, sandbox: Sandbox) -> None:
        nonlocal most
        most = max(most, len(processes.tree(sandbox._root() or 0)))  # type: ignore[attr-defined]

    beginning = "import os, time\nfrom threading import Thread\npid = os.getpid()\nprint('up', flush=True)\n"
    source = f"{beginning}{bomb}\nif os.getpid() == pid: print('end')"
    played = play(source, limits=LIMITS, on=count)
    assert played.exit.cause in ("", "timeout")
    assert played.seconds < 15
    assert most <= LIMITS.pids


@pytest.mark.parametrize(
    "bomb",
    [
        "x = bytearray(2**30)",
        "x = []\nwhile True: x.append(bytearray(2**20))",
        "x = mmap.mmap(-1, 2**30)\nfor n in range(0, 2**30, 4096): x[n] = 1",
        "for n in range(8):\n    if os.fork() == 0: x = bytearray(50 * 2**20); time.sleep(9); os._exit(0)\ntime.sleep(9)",
        "a = mmap.mmap(-1, 2**28)\nfor n in range(0, 2**28, 4096): a[n] = 1\nif os.fork() == 0: time.sleep(9)\ntime.sleep(9)",
    ],
    ids=["at once", "bit by bit", "shared", "many processes", "shared by two"],
)
def test_a_bomb_of_memory_is_ended(play: Play, bomb: str) -> None:
    played = play(f"import mmap, os, time\n{bomb}\nprint('achieved')", limits=LIMITS)
    is_refused = (
        [error.type for error in played.all(type(played.error))] == ["MemoryError"] if not played.exit.cause else False
    )
    assert is_refused or played.exit.cause == "memory"
    assert "achieved" not in played.text
    assert played.seconds < 10


def test_many_processes_that_share_their_memory_are_not_counted_twice(play: Play) -> None:
    source = """
import os, time
block = bytearray(30 * 2**20)
children = [pid for _ in range(10) if (pid := os.fork()) or time.sleep(1) or os._exit(0)]
for pid in children: os.waitpid(pid, 0)
"""
    assert play(source, limits=LIMITS).exit.is_clean


@pytest.mark.parametrize("place", ["/work", "/dev/shm", "/tmp"])
def test_a_disk_can_be_filled_up_to_its_limit_only(play: Play, place: str) -> None:
    played = play(
        f"""
import os, runboard
written = 0
try:
    for n in range(1000):
        with open(f"{place}/{{n}}", "wb", buffering=0) as file:
            while True: written += file.write(bytes(2**20))
except OSError as error:
    print(error.strerror)
try:
    for n in range(1000): written += os.write(os.open(f"{place}/x{{n}}", os.O_CREAT | os.O_WRONLY), bytes(4096))
except OSError as error:
    pass
runboard.output(written)
""",
        limits=LIMITS,
    )
    assert played.output <= 9 * MiB


@pytest.mark.parametrize("place", ["/work", "/dev/shm"])
def test_a_bomb_of_files_is_ended(play: Play, place: str) -> None:
    source = f"import os, time\nfor n in range(10**6): os.mknod(f'{place}/{{n}}')\nprint('achieved')"
    played = play(source, limits=LIMITS)
    assert played.exit.cause == "inodes" or "achieved" not in played.text
    assert not played.exit.is_clean


def test_an_endless_line_is_cut_and_marked(play: Play) -> None:
    played = play("for _ in range(300): print('x' * 100_000, end='')\nprint()\nprint('after')")
    first, second = (line.text for line in played.lines)
    assert first == "x" * 16384 + " … (line cut at 16 KiB)"
    assert second == "after"
    assert played.exit.is_clean


def test_binary_output_becomes_text(play: Play) -> None:
    played = play("import os\nos.write(1, bytes(range(256)) + b'\\xff\\xfe\\x00\\n' + b'\\xf0\\x9f\\x98')")
    assert played.exit.is_clean
    assert "\0" not in played.text
    assert "\ufffd" in played.text
    played.text.encode()


def test_megabytes_of_output_keep_their_beginning_and_their_end(play: Play) -> None:
    played = play("for n in range(700_000): print(n, 'x' * 90)", limits=Limits(timeout_seconds=50))
    assert played.exit.is_clean
    texts = [line.text for line in played.lines]
    assert texts[0].startswith("0 ")
    assert texts[-1].startswith("699999 ")
    assert any("lines dropped here" in text for text in texts)
    assert sum(map(len, texts)) < 51_000_000


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"hello\n", "is not JSON"),
        (b"{}\n", "no frame is called"),
        (b'{"t":"hello","v":1,"runtime":"python"}\n', "hello is the first frame and comes once"),
        (b'{"t":"output","value":1e999}\n', "not a JSON number"),
        (b'{"t":"output","value":"\\u0000"}\n', "NUL"),
        (b'{"t":"output","value":"\\ud800"}\n', "surrogate"),
        (b'{"t":"output","value":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", "64 levels"),
        (b'{"t":"output","value":' + b"9" * 5000 + b"}\n", "digits"),
        (b'{"t":"output","value":1,"value":2}\n', "“value” twice"),
        (b'{"t":"start","run":"x","attempt":1}\n', "no frame is called 'start'"),
        (b'{"t":"log","text":"' + b"x" * 2**20 + b'"}\n', "1,048,576 bytes"),
        (b"x" * (2**21), "1,048,576 bytes"),
        (b'{"t":"output","va', "the last frame has no end"),
        (b'\xff\xfe{"t":"output","value":1}\n', "UTF-8"),
    ],
    ids=range(14),
)
def test_a_broken_frame_ends_the_run_and_is_named(play: Play, raw: bytes, words: str) -> None:
    sending = f"""{CHANNEL}
import runboard
runboard.output("fine until here")
data = runboard.input().encode("latin-1")
while data: data = data[os.write(channel, data):]
os.write(1, b"sent")
os._exit(0)
"""
    played = play(sending, input=raw.decode("latin-1").replace("\0", ""))
    assert words in played.exit.violation
    assert not played.exit.is_clean
    assert played.all(Output) in ([], [Output("fine until here")])


def test_a_flood_of_frames_ends_the_run(play: Play) -> None:
    source = f"""{CHANNEL}
frame = b'{{"t":"output","value":1}}\\n' * 1000
for _ in range(300): os.write(channel, frame)
import time; time.sleep(9)
"""
    played = play(source)
    assert played.exit.cause == "output"
    assert len(played.frames) < 10


def test_one_who_asks_for_acks_and_never_reads_them_blocks_nobody(play: Play) -> None:
    source = f"""{CHANNEL}
for n in range(20_000): os.write(channel, b'{{"t":"step","key":"k","occurrence":%d,"input_hash":"","value":1}}\\n' % n)
print("sent all")
os._exit(0)
"""
    played = play(source)
    assert played.text == "sent all"
    assert (played.exit.code, played.exit.violation) == (0, "")


def test_a_forged_end_is_believed_only_if_the_process_ended_like_that(play: Play) -> None:
    lie = f"""{CHANNEL}
import runboard
runboard.output(1)
os.write(channel, b'{{"t":"done","code":0}}\\n')
os._exit(3)
"""
    played = play(lie)
    assert (played.exit.code, played.exit.is_clean) == (3, False)


def test_a_gigabyte_of_progress_and_logs_is_thinned_out(play: Play) -> None:
    source = """
import runboard
for n in range(30_000):
    runboard.progress(n / 30_000, f"part {n}")
runboard.progress(1, "all")
"""
    played = play(source)
    assert played.exit.is_clean
    assert len(played.frames) < 60
    assert played.frames[-1].message == "all"  # type: ignore[attr-defined]


WORKER = """
import sys, time
from workers.runtimes import Order
from workers.runtimes.bwrap import BwrapRuntime
sandbox = BwrapRuntime(owner=sys.argv[1]).prepare(Order(execution="e", attempt=1, task="t", source=sys.argv[2]))
for frame in sandbox.frames():
    print(frame, flush=True)
"""


@pytest.mark.parametrize(
    "source",
    [
        "import time\nprint('up', flush=True)\ntime.sleep(300)",
        """
import ctypes, os, signal, time
ctypes.CDLL(None).prctl(1, 0)
for number in set(range(1, 65)) - {9, 19, 32, 33}:
    signal.signal(number, signal.SIG_IGN)
if os.fork() == 0: os.setsid()
print('up', flush=True)
while True: time.sleep(300)
""",
    ],
    ids=["plain", "that asks not to be told"],
)
def test_a_sandbox_dies_with_its_worker(source: str) -> None:
    owner = f"{OWNER} killed"
    worker = subprocess.Popen([sys.executable, "-c", WORKER, owner, source], stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    with worker.stdout:
        said = ""
        while "up" not in said:
            said = worker.stdout.readline()
            assert said
        assert janitor.leftovers(owner)
        worker.kill()
        worker.wait()
    deadline = time.monotonic() + 5
    while janitor.leftovers(owner) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert janitor.leftovers(owner) == []


def test_the_janitor_ends_what_bears_its_owners_mark_and_nothing_else(play: Play, bwrap: Runtime) -> None:
    frames = (ours := bwrap.prepare(order("import time\ntime.sleep(60)"))).frames()
    assert isinstance(next(frames), Hello)
    assert janitor.clear("somebody else") == 0
    assert janitor.clear(OWNER) == 1
    assert list(frames) == []
    assert (ours.close().signal, ours.close().cause) == (9, "")


def test_signals_from_outside_reach_only_its_own_sandbox(play: Play) -> None:
    """Two attempts do not see each other: a neighbour's kill of everything it sees hits itself alone."""
    source = "import os, signal, time\nprint('up', flush=True)\nfor _ in range(20):\n    time.sleep(0.05)"
    victim: list[Played] = []
    neighbour = threading.Thread(target=lambda: victim.append(play(source)))
    neighbour.start()
    play("import os, signal\ntry: os.kill(-1, signal.SIGKILL)\nexcept OSError: pass")
    neighbour.join()
    assert victim[0].exit.is_clean


def _own_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def test_signal_numbers_are_what_the_tests_think() -> None:
    assert (signal.SIGKILL, signal.SIGSTOP) == (9, 19)


def test_the_janitor_ends_a_sandbox_whose_maker_died_before_it_stood(tmp_path: Path) -> None:
    bwrap = tmp_path / "bwrap"
    shutil.copy("/bin/sh", bwrap)
    orphaning = f"{bwrap} -c 'sleep 60; :' {INSIDE} >/dev/null 2>&1 & echo $!"
    pid = int(subprocess.run(["/bin/sh", "-c", orphaning], capture_output=True, text=True, check=True).stdout)
    until = time.monotonic() + 10
    while not janitor.is_unborn(pid) and time.monotonic() < until:
        time.sleep(0.02)
    janitor.clear("somebody else")
    while Path(f"/proc/{pid}").exists() and time.monotonic() < until:
        time.sleep(0.02)
    assert not Path(f"/proc/{pid}").exists()
