"""The room of who does it: hears what was committed, and rings for it."""

from django.apps import AppConfig


class WorkersConfig(AppConfig):
    name = "workers"

    def ready(self) -> None:
        from executions.events import committed
        from workers import dispatch

        committed.connect(dispatch.on_committed, dispatch_uid="workers.dispatch")
