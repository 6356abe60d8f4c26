"""The room of what happened."""

from django.apps import AppConfig

from tasks import append_only


class ExecutionsConfig(AppConfig):
    name = "executions"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        append_only.keep("executions_event", "executions_logchunk")
