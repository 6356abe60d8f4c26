"""Every environment variable the house reads, once, each with a safe default (docs/operations.md lists them)."""

import contextlib
import hashlib
import os
import secrets
import socket
import tempfile
from datetime import timedelta
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

from workers.supervisor import House

ROOT = Path(__file__).resolve().parent.parent
SCRATCH_MARK = "made-to-be-broken"  # a file in RUNBOARD_HOME
SHORTEST_KEY = 32  # characters of a key that seals histories
SOCKET_PATH_LIMIT = 100  # bytes; the kernel takes 107, and Redis makes names beside it

_env = environ.Env()


def _home() -> Path:
    return Path(_env.str("RUNBOARD_HOME", default=str(ROOT / ".runboard"))).expanduser().absolute()


def _redis_socket(home: Path) -> Path:
    """A Unix socket's path has a limit: a house that lives deeper keeps its socket in the system's temporary folder."""
    inside = home / "run" / "redis.sock"
    if len(os.fsencode(inside)) <= SOCKET_PATH_LIMIT:
        return inside
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"runboard-{os.getuid()}-{digest}" / "redis.sock"


def _allowed_hosts(host: str) -> list[str]:
    """Only names of this machine, so that a page elsewhere cannot reach the house by a name it controls."""
    ours = ["127.0.0.1", "localhost", "[::1]", socket.gethostname(), host.strip("[]")]
    return list(_env.list("ALLOWED_HOSTS", default=ours))


HOME = _home()
HOST = _env.str("HOST", default="127.0.0.1")
PORT = _env.int("PORT", default=8000)
SERVER = _env.str("RUNBOARD_SERVER", default="uvicorn")
DEBUG = _env.bool("DEBUG", default=False)
HTTPS = _env.bool("RUNBOARD_HTTPS", default=False)
ALLOWED_HOSTS = _allowed_hosts(HOST)
DATABASE_URL = _env.str("DATABASE_URL", default="")
REDIS_IS_OURS = not _env.str("REDIS_URL", default="")
REDIS_SOCKET = _redis_socket(HOME)
REDIS_URL = _env.str("REDIS_URL", default="") or f"unix://{REDIS_SOCKET}"
ACTIONS = _env.list("RUNBOARD_ACTIONS", default=[])
RETENTION = timedelta(days=max(_env.float("RUNBOARD_RETENTION_DAYS", default=90.0), 0.0))  # 0: for ever
ADMIN_PASSWORD = _env.str("RUNBOARD_ADMIN_PASSWORD", default="")
LEASE = timedelta(seconds=_env.float("RUNBOARD_LEASE_SECONDS", default=60.0))
SWEEP = timedelta(seconds=_env.float("RUNBOARD_SWEEP_SECONDS", default=2.0))
DRAIN_TIMEOUT = _env.float("RUNBOARD_DRAIN_SECONDS", default=30.0)
SLOTS = _env.int("RUNBOARD_SLOTS", default=4)
HOUSE_DRAIN_TIMEOUT = _env.float("RUNBOARD_DRAIN_SECONDS", default=2.0)  # Ctrl-C in a terminal is impatient


def _failpoint() -> str:
    """Only a house that was made to be broken may be: a mark in its home says that it was."""
    asked = _env.str("FAILPOINT", default="")
    if asked and not (HOME / SCRATCH_MARK).exists():
        raise SystemExit(
            f"FAILPOINT={asked} breaks a house on purpose, and {HOME} is not one made for that: unset FAILPOINT. "
            "`make chaos` makes houses of its own."
        )
    return str(asked)


FAILPOINT = _failpoint()


def house() -> House:
    """What `manage.py up` runs."""
    return House(
        home=HOME,
        host=HOST,
        port=PORT,
        server=SERVER,
        redis_socket=REDIS_SOCKET if REDIS_IS_OURS else None,
        lease=LEASE.total_seconds(),
        drain=HOUSE_DRAIN_TIMEOUT,
        slots=SLOTS,
    )


def secret_key() -> str:
    """SECRET_KEY, or one made at the first run and kept in RUNBOARD_HOME where only its owner reads it."""
    return _env.str("SECRET_KEY", default="") or kept_secret(HOME / "secret-key", secrets.token_urlsafe(50))


def secret_keys() -> tuple[str, ...]:
    """RUNBOARD_SECRET_KEYS, the newest first, or one made at the first run: they seal histories, and are in no database."""
    path = HOME / "secret-keys"
    said = _env.str("RUNBOARD_SECRET_KEYS", default="") or kept_secret(path, secrets.token_urlsafe(48))
    keys = tuple(key.strip() for key in said.split(",") if key.strip())
    if not keys or any(len(key) < SHORTEST_KEY for key in keys):
        raise ImproperlyConfigured(f"Each of RUNBOARD_SECRET_KEYS must have at least {SHORTEST_KEY} characters.")
    return keys


def kept_secret(path: Path, fresh: str) -> str:
    """What the file holds; where there is none, the fresh value, and of two processes at once one wins for both."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        own = path.with_name(f"{path.name}.{os.getpid()}")
        own.touch(mode=0o600)
        own.write_text(fresh)
        with contextlib.suppress(FileExistsError):
            os.link(own, path)
        own.unlink()
    return path.read_text().strip()
