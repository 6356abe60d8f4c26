"""Who asks for something on a page, and whether they may."""

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


def may(request: HttpRequest, scope: str) -> bool:
    """Whether a page should offer it."""
    principal = access.principal_of(request.user)
    return principal is not None and principal.may(scope)
