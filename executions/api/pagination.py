"""Lists in pages, by keyset: a page begins after the last row of the one before, however many rows there are.

The cursor holds that row's place in the order. It is opaque, but no secret: a forged one shows what it names, to
whoever may see it anyhow. Wired by name in the settings.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from django.core.exceptions import ValidationError as ImpossibleValue
from django.db.models import QuerySet
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from tasks.api.fields import Unknown
from tasks.sdk.canonical import decode, encode

if TYPE_CHECKING:  # the framework loads this module while it loads its views
    from rest_framework.views import APIView

    from tasks.api.resource import Resource

NUMBER = re.compile(r"[0-9]{1,6}")


class Keyset(BasePagination):
    """Pages in the order that the resource's `keyset` names: one or two names, both ascending or both descending,
    unique together. What is no query but rows in memory is paged ascending."""

    next: str | None = None

    def paginate_queryset(self, queryset: Any, request: Request, view: APIView | None = None) -> list[Any]:
        view = cast("Resource", view)
        limit = limit_of(request, view)
        rows = list(_after(queryset, view.keyset, request.query_params.get("cursor"))[: limit + 1])
        if len(rows) > limit:
            self.next = address(request, cursor=_cursor(rows[limit - 1], view.keyset))
        return rows[:limit]

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"results": data, "next": self.next})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        following = {"type": "string", "format": "uri", "nullable": True, "description": "The next page."}
        return {
            "type": "object",
            "required": ["results", "next"],
            "properties": {"results": schema, "next": following},
        }

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        view = cast("Resource", view)
        limit = {"type": "integer", "minimum": 1, "maximum": view.most, "default": view.few}
        return [
            _parameter("limit", limit, "Rows on a page."),
            _parameter("cursor", {"type": "string"}, "Where the page begins, as told by `next`."),
        ]


def limit_of(request: Request, view: Resource) -> int:
    """How many rows were asked for."""
    said = request.query_params.get("limit", str(view.few))
    if not (NUMBER.fullmatch(said) and 1 <= int(said) <= view.most):
        raise ValidationError({"limit": [f"must be a whole number from 1 to {view.most}"]})
    return int(said)


def address(request: Request, **changes: str | int) -> str:
    """The address that was asked, with some members of its query changed."""
    url = request.build_absolute_uri()
    for name, value in changes.items():
        url = replace_query_param(url, name, value)
    return url


def _parameter(name: str, schema: Mapping[str, Any], told: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": told, "schema": dict(schema)}


def _after(rows: Any, keyset: Sequence[str], cursor: str | None) -> Any:
    names = [name.removeprefix("-") for name in keyset]
    ordered = rows.order_by(*keyset) if isinstance(rows, QuerySet) else sorted(rows, key=partial(_place, names=names))
    if not cursor:
        return ordered
    last = _read(cursor, len(names))
    try:
        if not isinstance(ordered, QuerySet):
            return [row for row in ordered if _place(row, names) > tuple(last)]
        fields = [ordered.model._meta.get_field(name) for name in names]
        known = [_known(field.to_python(value)) for field, value in zip(fields, last, strict=True)]
    except (ImpossibleValue, ValueError, TypeError, OverflowError) as error:
        raise _no_cursor() from error
    return _beyond(ordered, names, known, "lt" if keyset[0].startswith("-") else "gt")


def _beyond(rows: QuerySet[Any], names: Sequence[str], last: Sequence[Any], side: str) -> QuerySet[Any]:
    """Rows past a place. The leading name is compared by itself, so that the index is entered at the right spot."""
    first, *rest = names
    if not rest:
        return rows.filter(**{f"{first}__{side}": last[0]})
    (second,) = rest
    same_or_other_way = {"lt": "gte", "gt": "lte"}[side]
    return rows.filter(**{f"{first}__{side}e": last[0]}).exclude(
        **{first: last[0], f"{second}__{same_or_other_way}": last[1]}
    )


def _cursor(row: Any, keyset: Sequence[str]) -> str:
    place = _place(row, [name.removeprefix("-") for name in keyset])
    told = [
        value.isoformat() if isinstance(value, datetime) else value if isinstance(value, int | float) else str(value)
        for value in place
    ]
    return urlsafe_b64encode(encode(told)).decode().rstrip("=")


def _place(row: Any, names: Sequence[str]) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in names)


def _read(cursor: str, length: int) -> list[Any]:
    try:
        told = decode(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except ValueError as error:
        raise _no_cursor() from error
    if not isinstance(told, list) or len(told) != length or any(isinstance(part, dict | list | bool) for part in told):
        raise _no_cursor()
    return told


def _known(value: Any) -> Any:
    if value is None:
        raise ValueError("a place in the order has no empty part")
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    return value


def _no_cursor() -> Unknown:
    return Unknown("There is no such page: take its address from `next`.", at="/cursor")
