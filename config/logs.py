"""One calm line a record, for people: time, level, what happened, and the facts given as `extra` as name=value.

By the standard library alone: structlog costs each of the house's processes a third of a second at every start.
"""

import logging
from typing import Any

KNOWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

LONGEST = 1000  # characters of a line; an address can be as long as its sender likes


class Line(logging.Formatter):
    default_msec_format = ""

    def __init__(self) -> None:
        super().__init__("%(asctime)s [%(levelname)s] %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging calls it so)
        facts = [f"{name}={value}" for name, value in vars(record).items() if name not in KNOWN]
        line = " ".join([super().formatMessage(record).strip(), *facts]).replace("\n", "\\n")
        return line if len(line) <= LONGEST else line[:LONGEST] + " …"


LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": Line}},
    "handlers": {"terminal": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["terminal"], "level": "INFO"},
    "loggers": {
        # Each says on every start or request what nobody needs to read.
        "axes": {"level": "WARNING"},
        "celery": {"level": "WARNING"},
        "daphne": {"level": "WARNING"},
        "django.request": {"level": "ERROR"},
        "django.security": {"level": "CRITICAL"},  # what was refused with 400 is the sender's fault, not ours
        "django.channels.server": {"level": "WARNING"},
        "kombu": {"level": "WARNING"},
        "uvicorn": {"level": "WARNING"},
        "uvicorn.error": {"level": "WARNING"},
    },
}
