"""The room of what may run."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate

from tasks import append_only


class TasksConfig(AppConfig):
    name = "tasks"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        append_only.keep("tasks_taskversion")
        post_migrate.connect(append_only.install, dispatch_uid="append_only")
