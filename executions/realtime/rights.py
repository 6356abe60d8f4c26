"""May this session still look? Asked at connect and every minute, of the database: a socket outlives its login."""

from __future__ import annotations

from importlib import import_module

from django.conf import settings
from django.contrib.auth import SESSION_KEY, get_user
from django.http import HttpRequest

from tasks import access

SIGNED_OUT = 4401
NOT_ALLOWED = 4403


def refusal(session_key: str | None) -> int | None:
    """The close code that says why not; None for whoever may look."""
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    if SESSION_KEY not in request.session:
        return SIGNED_OUT
    principal = access.principal_of(get_user(request))
    return None if principal and principal.may("read") else NOT_ALLOWED
