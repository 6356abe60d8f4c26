"""Make `.venv` hold exactly what requirements/<group>.txt lists: standard library alone, so that bare Python runs it.

`python3 bootstrap.py run|dev` does nothing when a stamp says that this very list is installed for this very Python.
Every package is checked against its hash. uv does the work because it is ten times faster; pip does where uv cannot.
Debian packages that are missing are installed by apt where this is root; else the line that would is printed.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "installed.json"
UV = "uv==0.13.8"
# Any index may serve a package here: its hash says whether it is the right one.
UV_SETTINGS = {
    "UV_INDEX_STRATEGY": "unsafe-best-match",
    "UV_SYSTEM_CERTS": "1",
    "UV_NO_CONFIG": "1",
    "UV_PYTHON_DOWNLOADS": "never",
}
MAKES_VENV = "apt-get install -y python3-venv"
APT = ["apt-get", "install", "-y", "-qq", "--no-install-recommends"]
POSTGRESQL = "/usr/lib/postgresql"  # where Debian puts its servers, beside each other
# What each group needs from the system: a program, or the folder it is in, and the Debian package that brings it.
NEEDED = {
    "run": {"bwrap": "bubblewrap"},
    "dev": {"bwrap": "bubblewrap", "chromium": "chromium", "curl": "curl", POSTGRESQL: "postgresql"},
}


def main(group: str) -> None:
    if sys.version_info < (3, 11):
        sys.exit(f"Runboard needs Python 3.11 or newer; this is {sys.version.split()[0]}.")
    system = start_system_packages(group)
    listed = ROOT / "requirements" / f"{group}.txt"
    if digest(listed) not in installed():
        install(group, listed)
    if system:
        system.wait()
    if group == "dev":  # the house itself says what it is missing
        tell_what_is_missing(group)


def install(group: str, listed: Path) -> None:
    print(f"Installing {listed.relative_to(ROOT)} into .venv (once; checked against hashes)", flush=True)
    make_venv()
    if not (install_by_uv(listed) or install_by_pip(listed)):
        sys.exit(
            "The packages could not be installed; the lines above say why. "
            "Behind a mirror, set PIP_INDEX_URL, then run the same command again."
        )
    STAMP.write_text(json.dumps(satisfied(group)))


def digest(listed: Path) -> str:
    return hashlib.sha256(
        listed.read_bytes() + f"{sys.version} {os.path.realpath(sys.executable)}".encode()
    ).hexdigest()


def installed() -> list[str]:
    try:
        return list(json.loads(STAMP.read_text())) if PYTHON.exists() else []
    except (OSError, ValueError):
        return []


def satisfied(group: str) -> list[str]:
    """The dev list contains the run list: one installation satisfies both."""
    groups = ["run", "dev"] if group == "dev" else ["run"]
    return [digest(ROOT / "requirements" / f"{name}.txt") for name in groups]


def make_venv() -> None:
    STAMP.unlink(missing_ok=True)
    if PYTHON.exists() and same_python():
        return
    try:
        venv.create(VENV, clear=True, with_pip=True, symlinks=True)
    except subprocess.CalledProcessError:
        sys.exit(f"Python cannot make a virtual environment here. On Debian and Ubuntu run: {MAKES_VENV}")


def same_python() -> bool:
    said = subprocess.run([str(PYTHON), "-c", "import sys; print(sys.version)"], capture_output=True, text=True)
    return said.stdout.strip() == sys.version.strip()


def install_by_uv(listed: Path) -> bool:
    if not pip("install", UV):
        return False
    uv = [str(VENV / "bin" / "uv"), "pip", "sync", "--quiet", "--require-hashes", "--python", str(PYTHON)]
    return subprocess.run([*uv, str(listed)], env=uv_environment()).returncode == 0


def install_by_pip(listed: Path) -> bool:
    print("uv could not install them; trying pip, which takes longer", flush=True)
    return pip("install", "--require-hashes", "--requirement", str(listed))


def pip(*arguments: str) -> bool:
    command = [str(PYTHON), "-m", "pip", "-qq", "--disable-pip-version-check", *arguments]
    return subprocess.run(command).returncode == 0


def uv_environment() -> dict[str, str]:
    """uv reads none of pip's settings: hand it those that say where packages come from."""
    told = {name: pip_setting(name) for name in ("index-url", "extra-index-url", "find-links", "cert")}
    names = {"index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX", "find-links": "UV_FIND_LINKS"}
    mapped = {names[name]: said for name, said in told.items() if said and name in names}
    if told["cert"]:
        mapped["SSL_CERT_FILE"] = told["cert"]
    return {**os.environ, **UV_SETTINGS, **mapped}


def pip_setting(name: str) -> str:
    from_environment = os.environ.get("PIP_" + name.upper().replace("-", "_"))
    if from_environment:
        return from_environment
    command = [str(PYTHON), "-m", "pip", "config", "get", f"global.{name}"]
    said = subprocess.run(command, capture_output=True, text=True)
    return " ".join(said.stdout.split()) if said.returncode == 0 else ""


def start_system_packages(group: str) -> "subprocess.Popen[bytes] | None":
    """apt at work beside everything else, where something is missing and this is root."""
    packages = missing(group)
    if not packages or os.geteuid() != 0 or not shutil.which("apt-get") or os.environ.get("RUNBOARD_NO_APT"):
        return None
    print(f"Installing from Debian: {' '.join(packages)}", flush=True)
    line = " ".join([*APT, *packages])
    script = f"exec >/dev/null; {line} 2>/dev/null || {{ apt-get update -qq && {line}; }}"
    return subprocess.Popen(["sh", "-c", script], env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})


def missing(group: str) -> list[str]:
    return [package for found, package in NEEDED[group].items() if not (shutil.which(found) or Path(found).is_dir())]


def tell_what_is_missing(group: str) -> None:
    if packages := missing(group):
        print(f"Missing: {', '.join(packages)}. To install, run: apt-get install {' '.join(packages)}", flush=True)
        if os.environ.get("CI") == "true":
            sys.exit("With CI=true nothing may be missing.")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "run")
