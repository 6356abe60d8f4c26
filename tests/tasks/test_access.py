"""Who may do what."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.utils import timezone

from tasks import access
from tasks.models import Token

pytestmark = pytest.mark.django_db


def test_nobody_is_no_principal(mira: User) -> None:
    assert access.principal_of(AnonymousUser()) is None
    mira.is_active = False
    assert access.principal_of(mira) is None


def test_people_are_operators_and_staff_are_admins(mira: User, boss: User) -> None:
    operator, admin = access.principal_of(mira), access.principal_of(boss)
    assert operator
    assert admin
    assert [operator.may(scope) for scope in access.SCOPES] == [True, True, True, True, False, False]
    assert all(admin.may(scope) for scope in access.SCOPES)
    assert not admin.may("everything")


def test_a_token_is_kept_as_a_digest_and_shown_once(mira: User) -> None:
    secret = access.issue(name="ci", user="mira", scopes=["read"])
    assert secret.startswith("rb_")
    assert secret not in str(Token.objects.values().get())
    principal = access.authenticate(secret, now=timezone.now())
    assert principal
    assert (principal.user, principal.scopes) == (mira, frozenset({"read"}))


def test_a_token_never_exceeds_its_user(mira: User) -> None:
    secret = access.issue(name="ci", user="mira", scopes=["read", "admin"])
    principal = access.authenticate(secret, now=timezone.now())
    assert principal
    assert not principal.may("admin")


@pytest.mark.parametrize(
    "change", [{"revoked_at": timezone.now()}, {"expires_at": timezone.now() - timedelta(seconds=1)}]
)
def test_an_ended_token_is_nobody(mira: User, change: dict[str, object]) -> None:
    secret = access.issue(name="ci", user="mira")
    Token.objects.update(**change)
    assert access.authenticate(secret, now=timezone.now()) is None


def test_unknown_secrets_and_inactive_users_are_nobody(mira: User) -> None:
    secret = access.issue(name="ci", user="mira")
    assert access.authenticate("rb_nonsense", now=timezone.now()) is None
    User.objects.update(is_active=False)
    assert access.authenticate(secret, now=timezone.now()) is None


def test_an_unknown_scope_is_refused_by_name(mira: User) -> None:
    with pytest.raises(access.NoSuchScope, match="fly"):
        access.issue(name="ci", user="mira", scopes=["fly"])
