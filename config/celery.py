"""The Celery application: it carries wake-ups (`runboard.wake`) from what submits to what works."""

import os

import celery
import kombu
from celery import Celery

NEEDED = (5, 7)  # older ones stop consuming after a broken connection to Redis, and say nothing

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")


def refuse_older(name: str, version: str) -> None:
    if tuple(int(part) for part in version.split(".")[:2]) < NEEDED:
        raise RuntimeError(f"{name} {version} loses wake-ups; install {name} 5.7 or newer (`make run` does).")


refuse_older("celery", celery.__version__)
refuse_older("kombu", kombu.__version__)

app = Celery("runboard")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(related_name="jobs")
