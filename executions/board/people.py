"""Who asks for something on a page, whether they may, and what they typed."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from tasks import access


def asking(request: HttpRequest, *, scope: str) -> access.Principal:
    """Who is signed in, as history names them; raises PermissionDenied where they may not do this."""
    principal = access.principal_of(request.user)
    if principal is None or not principal.may(scope):
        raise PermissionDenied(f"You are not allowed to {scope} here. An admin can change that.")
    return principal


def typed(text: str, *, most: int) -> str:
    """A line that a person typed, as it can be kept: no NUL, which PostgreSQL refuses, and no longer than that."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")[:most]


def may(request: HttpRequest, scope: str) -> bool:
    """Whether a page should offer it."""
    principal = access.principal_of(request.user)
    return principal is not None and principal.may(scope)
