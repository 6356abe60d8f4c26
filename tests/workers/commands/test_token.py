from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.utils import timezone

from tasks import access


def issue(*arguments: str) -> str:
    said = StringIO()
    call_command("token", *arguments, stdout=said)
    return said.getvalue()


def test_only_the_token_is_printed_and_it_carries_its_scopes(mira: User) -> None:
    secret = issue("ci", "--user", "mira", "--scope", "read, submit")
    principal = access.authenticate(secret.removesuffix("\n"), now=timezone.now())
    assert principal is not None
    assert principal.user == mira
    assert principal.scopes == {"read", "submit"}


def test_an_unknown_scope_is_refused_with_those_there_are(mira: User) -> None:
    with pytest.raises(CommandError, match="no such scope: fly; there are read, submit"):
        issue("ci", "--user", "mira", "--scope", "read,fly")


@pytest.mark.django_db
def test_an_unknown_user_is_refused_with_what_to_do() -> None:
    with pytest.raises(CommandError, match="There is no user nobody; make one"):
        issue("ci", "--user", "nobody")
