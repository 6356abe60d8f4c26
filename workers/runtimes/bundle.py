"""The author's SDK as a sandbox gets it: a read-only copy of `tasks/sdk` alone, compiled for the interpreter that runs there.

Compiled, because a sandbox cannot keep what it compiles and would do it again for each attempt (15 ms); one archive, because
each file inside costs a mount (0.3 ms). Handed over by descriptor, because a dropped uid can read neither a clone nor a
RUNBOARD_HOME under 0700.
"""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import tasks.sdk
from workers.runtimes.base import EnvironmentUnavailable

SDK = Path(tasks.sdk.__file__).parent
INSIDE = "/run/runboard/sdk.zip"
NEEDED = (3, 11)
NOT_INSIDE = {"protocol.py"}  # the house's end of the line
COMPILE = """
import base64, json, marshal, sys
from importlib.util import MAGIC_NUMBER
sources = json.load(sys.stdin)
made = {}
for path, source in sources.items():
    code = compile(source, path, "exec", dont_inherit=True, optimize=0)
    made[path + "c"] = base64.b64encode(MAGIC_NUMBER + bytes([1, 0, 0, 0]) + bytes(8) + marshal.dumps(code)).decode()
print(json.dumps({"version": list(sys.version_info[:3]), "prefix": sys.base_prefix, "files": made}))
"""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python for sandboxes: where it is, what of it lies outside /usr and has to be bound, and the SDK compiled for it."""

    path: str
    version: str
    prefix: str  # to be bound at the same path, or empty where /usr has it all
    sdk: bytes  # the archive that Python imports `runboard` from


@cache
def interpreter() -> Interpreter:
    """The system's Python where it is new enough, else the one that runs the house (its own prefix, never its venv)."""
    tried = []
    for path in ("/usr/bin/python3", _own()):
        try:
            return _compiled(path)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            tried.append(f"{path}: {error}")
    raise EnvironmentUnavailable(f"no Python ≥ 3.11 for sandboxes ({'; '.join(tried)}): apt install python3")


def _own() -> str:
    return str(Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}")


def _compiled(path: str) -> Interpreter:
    sources = {
        f"{INSIDE}/runboard/{file.name}": file.read_text() for file in SDK.glob("*.py") if file.name not in NOT_INSIDE
    }
    command = [path, "-I", "-S", "-X", "utf8", "-c", COMPILE]
    ran = subprocess.run(
        command,
        input=json.dumps(sources),
        capture_output=True,
        text=True,
        timeout=30,
        env={"LANG": "C.UTF-8"},
        check=True,
    )
    said = json.loads(ran.stdout)
    if tuple(said["version"]) < NEEDED:
        raise ValueError(f"is Python {'.'.join(map(str, said['version']))}, and 3.11 is needed")
    prefix = "" if said["prefix"] == "/usr" else said["prefix"]
    files = {name: base64.b64decode(body) for name, body in said["files"].items()}
    return Interpreter(os.path.realpath(path), ".".join(map(str, said["version"])), prefix, _archive(files))


def _archive(files: Mapping[str, bytes]) -> bytes:
    """A zip file without compression, which Python reads without zlib."""
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_STORED) as archive:
        for path, content in files.items():
            archive.writestr(zipfile.ZipInfo(path.removeprefix(INSIDE + "/")), content)
    return body.getvalue()
