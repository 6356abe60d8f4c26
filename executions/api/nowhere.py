"""What no room has an address for under /api/: a problem as everywhere here, and not a page for people."""

from __future__ import annotations

from typing import Any

from django.urls import re_path
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from tasks.api.resource import Resource

METHODS = ("GET", "POST", "PATCH", "DELETE")


class Nowhere(Resource):
    scopes = dict.fromkeys(METHODS, "read")
    schema = None

    def nothing(self, request: Request, **_: Any) -> Response:
        hint = "" if request.path.endswith("/") else " Addresses end with a slash."
        raise NotFound(f"There is nothing at this address.{hint} /api/docs/ lists what there is.")

    get = post = patch = delete = nothing


urlpatterns = [re_path(r"^", Nowhere.as_view())]
