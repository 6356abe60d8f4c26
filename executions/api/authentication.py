"""Who is asking, and may they? Wired by name in the settings, so that it holds for every JSON face of the house.

Guarantee: deny by default. A method answers only to a principal that has the scope which its resource declares for it;
a resource that declares none answers to nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.models import AnonymousUser, User
from django.utils import timezone
from rest_framework import authentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from tasks import access
from tasks.access import Principal

if TYPE_CHECKING:  # the framework loads this module while it loads its views
    from rest_framework.views import APIView

HOW = "Send the header “Authorization: Bearer rb_…”; `manage.py token NAME` makes a token."


class BearerAuthentication(authentication.BaseAuthentication):
    """`Authorization: Bearer rb_…`. Whoever sends the header is judged by it alone, whatever cookies come with it."""

    def authenticate(self, request: Request) -> tuple[User, Principal] | None:
        said = request.headers.get("Authorization")
        if said is None:
            return None
        scheme, _, secret = said.partition(" ")
        if scheme.lower() != "bearer":
            raise AuthenticationFailed(f"This API does not know that kind of Authorization. {HOW}")
        principal = access.authenticate(secret.strip(), now=timezone.now())
        if principal is None:
            raise AuthenticationFailed("This token is unknown, expired or revoked, or its user is no longer active.")
        return principal.user, principal

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="runboard"'


class SessionAuthentication(authentication.SessionAuthentication):
    """Somebody signed in on the board; what they write carries the CSRF token, as the board's own forms do."""

    def authenticate(self, request: Request) -> tuple[User, Principal] | None:
        user: User | AnonymousUser = request._request.user
        principal = access.principal_of(user)
        if principal is None:
            return None
        self.enforce_csrf(request)
        return principal.user, principal


class InScope(BasePermission):
    """Whether the principal has the scope that the resource declares for this method."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        principal = request.auth
        if not isinstance(principal, Principal):
            return False
        if str(request.method) not in view.allowed_methods:
            return True  # nothing to protect: the answer is 405
        scope = scope_of(view, str(request.method))
        if not scope:
            raise PermissionDenied("This is open to nobody: it declares no scope.")
        if not principal.may(scope):
            has = ", ".join(sorted(principal.scopes)) or "none"
            raise PermissionDenied(f"This needs the scope “{scope}”; {principal.actor} has {has}.")
        return True


def scope_of(view: APIView | type[APIView], method: str) -> str:
    """The scope that a resource declares for a method, or an empty text."""
    scopes: dict[str, str] = getattr(view, "scopes", {})
    return scopes.get("GET" if method == "HEAD" else method, "")
