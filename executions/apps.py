"""The room of what happened."""

from django.apps import AppConfig

from tasks import append_only


class ExecutionsConfig(AppConfig):
    name = "executions"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from executions.realtime import push  # it needs the models, which exist only now

        append_only.keep("executions_event", "executions_logchunk", "executions_anchor", "executions_tombstone")
        push.listen()
