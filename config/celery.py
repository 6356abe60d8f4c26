"""The Celery application: it carries wake-ups (`runboard.wake`) from what submits to what works."""

import os
from importlib.metadata import version

from celery import Celery

NEEDED = (5, 7)  # older ones stop consuming after a broken connection to Redis, and say nothing

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")


def refuse_older(name: str) -> None:
    found = version(name)
    if tuple(int(part) for part in found.split(".")[:2]) < NEEDED:
        raise RuntimeError(f"{name} {found} loses wake-ups; install {name} 5.7 or newer (`make run` does).")


refuse_older("celery")
refuse_older("kombu")

app = Celery("runboard")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(related_name="jobs")
