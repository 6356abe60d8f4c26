import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings


def test_a_server_that_is_not_known_is_refused_with_those_that_are(settings: Settings) -> None:
    settings.SERVER = "gunicorn"
    with pytest.raises(CommandError, match="RUNBOARD_SERVER is uvicorn or daphne, not gunicorn"):
        call_command("web")
