"""The shop's outgoing mail: a Maildir, whose letters are named after their idempotency keys, so each is there once."""

from __future__ import annotations

import hashlib
import mailbox
from email.message import EmailMessage
from pathlib import Path

from tasks.demo.order_processing import shop


def spool() -> mailbox.Maildir:
    shop.home().mkdir(parents=True, exist_ok=True)
    return mailbox.Maildir(str(shop.home() / "mail"), create=True)


def send(*, to: str, subject: str, text: str, key: str) -> None:
    """Puts a letter into the spool, unless it was put there before."""
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = "shop@example.org", to, subject
    letter.set_content(text)
    folder = shop.home() / "mail"
    spool()
    name = f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.runboard"
    if not _is_there(folder, name):
        (folder / "tmp" / name).write_bytes(bytes(letter))
        (folder / "tmp" / name).rename(folder / "new" / name)


def _is_there(folder: Path, name: str) -> bool:
    """Whether it lies there, unread or read (what reads it adds flags to its name)."""
    return any(any((folder / part).glob(f"{name}*")) for part in ("new", "cur"))
