"""Who may do what: the one place that every face asks.

Here every signed-in user is an operator and staff are admins; a token carries some of its user's rights, never more than
the user has now. Teams and roles come through this module. Deny by default: an unknown scope is nobody's.
"""

from __future__ import annotations

import hashlib
import secrets
import string
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Q, QuerySet
from django.utils import timezone

from tasks.models import Token

SCOPES = ("read", "submit", "answer", "cancel", "define", "admin")
OPERATOR = frozenset({"read", "submit", "answer", "cancel"})
ADMIN = frozenset(SCOPES)
ALPHABET = string.ascii_letters + string.digits
SECRET_LENGTH = 40  # base62: about 238 bits
USE_NOTED_EVERY = timedelta(minutes=1)


class NoSuchScope(ValueError):
    """A scope that does not exist; the message names those that do."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking: a user, perhaps by a token. `actor` is how history names them."""

    user: User
    actor: str
    scopes: frozenset[str]

    def may(self, scope: str) -> bool:
        """Whether this is allowed now."""
        return scope in self.scopes and self.user.is_active


def principal_of(user: User | AnonymousUser) -> Principal | None:
    """The principal of a signed-in user; None for nobody."""
    if not user.is_authenticated or not isinstance(user, User) or not user.is_active:
        return None
    return Principal(user, f"user:{user.get_username()}", ADMIN if user.is_staff else OPERATOR)


def authenticate(secret: str, *, now: datetime) -> Principal | None:
    """The principal of a token's secret, or None where it is unknown, expired or revoked, or its user is inactive."""
    found = (
        Token.objects.select_related("user")
        .filter(Q(expires_at=None) | Q(expires_at__gt=now), digest=digest(secret), revoked_at=None)
        .first()
    )
    owner = principal_of(found.user) if found else None
    if found is None or owner is None:
        return None
    if found.last_used_at is None or now - found.last_used_at > USE_NOTED_EVERY:
        Token.objects.filter(pk=found.pk).update(last_used_at=now)
    return Principal(
        owner.user, f"token:{found.name} ({found.user.get_username()})", owner.scopes & frozenset(found.scopes)
    )


def issue(*, name: str, user: str = "admin", scopes: Iterable[str] = ("read", "submit", "answer", "cancel")) -> str:
    """Make a token for a user and return its secret, which is shown this once."""
    wanted = list(dict.fromkeys(scopes))
    if unknown := [scope for scope in wanted if scope not in SCOPES]:
        raise NoSuchScope(f"no such scope: {', '.join(unknown)}; there are {', '.join(SCOPES)}")
    owner = get_user_model().objects.get(username=user)
    secret = "rb_" + "".join(secrets.choice(ALPHABET) for _ in range(SECRET_LENGTH))
    Token.objects.create(
        name=name, user=owner, digest=digest(secret), last4=secret[-4:], scopes=wanted, created_at=timezone.now()
    )
    return secret


def revoke(tokens: QuerySet[Token], *, now: datetime) -> int:
    """End these tokens for good; how many were still good."""
    return tokens.filter(revoked_at=None).update(revoked_at=now)


def digest(secret: str) -> str:
    """SHA-256, hex: the secret is random and long, so a fast hash is right."""
    return hashlib.sha256(secret.encode()).hexdigest()
