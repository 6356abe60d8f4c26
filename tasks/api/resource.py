"""What every JSON face of the house shares: who is asking, what they sent, which page they see.

A resource declares the scope that each of its methods needs; a method without a declared scope is nobody's. Who is
asking, how a body is read, what a problem looks like and how lists are paged is wired by name in the settings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeVar, cast

from django.db.models import Model, QuerySet
from django.http import HttpRequest
from rest_framework import status
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from tasks.access import Principal
from tasks.api.fields import WHOLE, Strict

M = TypeVar("M", bound=Model)
PAGING = frozenset({"cursor", "limit", "format"})


class Resource(GenericAPIView[Any]):
    """One address of the API. A list says by `keyset` in which order it is paged: one or two names, unique together."""

    http_method_names = ["get", "head", "post", "patch", "delete"]
    scopes: ClassVar[Mapping[str, str]] = {}
    keyset: ClassVar[Sequence[str]] = ()
    filters: ClassVar[type[Strict]] = Strict  # what may be asked of a list, besides its pages
    few, most = 50, 200  # rows on a page: unless asked otherwise, and at most

    @property
    def principal(self) -> Principal:
        return cast(Principal, self.request.auth)

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        # A body sent in chunks declares no length, and the framework would take it for none.
        if "CONTENT_LENGTH" not in request.META and "HTTP_TRANSFER_ENCODING" in request.META:
            request.META["CONTENT_LENGTH"] = str(len(request.body))
        return super().initialize_request(request, *args, **kwargs)

    def sent(self, shape: type[Strict], *, partial: bool = False) -> dict[str, Any]:
        """The members of the body, once they fit the shape."""
        reader = shape(data=self.request.data, partial=partial)
        reader.is_valid(raise_exception=True)
        return dict(reader.validated_data)

    def document(self) -> dict[str, Any]:
        """The body as an object, for a verb that reads its members itself."""
        if not isinstance(self.request.data, dict):
            raise ValidationError({WHOLE: ["must be an object"]})
        return self.request.data

    def asked(self) -> dict[str, Any]:
        """The filters of the query; one that nobody knows, or that is given twice, is refused and not ignored."""
        given = {name: values for name, values in self.request.query_params.lists() if name not in PAGING}
        if twice := [name for name, values in given.items() if len(values) > 1]:
            raise ValidationError({name: ["is given more than once"] for name in twice})
        reader = self.filters(data={name: value for name, (value,) in given.items()})
        reader.is_valid(raise_exception=True)
        return dict(reader.validated_data)

    def page(self, rows: QuerySet[Any] | Sequence[Any], shape: type[BaseSerializer[Any]]) -> Response:
        """One page of a list, and the address of the next."""
        return self.get_paginated_response(shape(self.rows(rows), many=True).data)

    def rows(self, rows: QuerySet[M] | Sequence[M]) -> list[M]:
        """The rows of the page that was asked for."""
        self.asked()
        return self.paginate_queryset(rows) or []

    def created(self, body: Any, *, at: object) -> Response:
        """201, with the address of what was made under this one."""
        address = self.request.build_absolute_uri(f"{self.request.path}{at}/")
        return Response(body, status=status.HTTP_201_CREATED, headers={"Location": address})


def found(rows: QuerySet[M], what: str, **by: Any) -> M:
    """The one row that this names; 404 where there is none."""
    row = rows.filter(**by).first()
    if row is None:
        raise NotFound(f"There is no {what} {next(iter(by.values()))}.")
    return row
