"""What goes wrong, as RFC 9457 problem details. Wired by name in the settings as the framework's exception handler.

Expected refusals become their status here, once; whatever else is raised stays an error of ours, and is logged as one.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import singledispatch
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import OperationalError
from django.http import Http404, JsonResponse
from rest_framework.exceptions import APIException, ErrorDetail, UnsupportedMediaType, ValidationError
from rest_framework.views import set_rollback

from executions.transitions import Refused
from tasks import schema
from tasks.api.fields import WHOLE, Unknown
from tasks.planning import NotPlanned
from tasks.schema import Invalid
from tasks.sdk.canonical import Unfit

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
WORDS = {"required": "is required", "null": "must not be null", "blank": "must not be empty"}


@dataclass(frozen=True, slots=True)
class Problem:
    """One answer that is no success; `more` are members of its own, such as `allowed`."""

    status: int
    detail: str
    errors: Iterable[schema.Problem] = ()
    more: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        errors = [{"pointer": error.pointer, "message": error.message} for error in self.errors]
        title = HTTPStatus(self.status).phrase
        return {
            "type": "about:blank", "title": title, "status": self.status, "detail": self.detail, "errors": errors,
            **self.more,
        }  # fmt: skip


def answer(error: Exception, context: Mapping[str, Any]) -> JsonResponse | None:
    """The response to an expected error, JSON whatever the address else tells; None lets an unexpected one through."""
    problem = problem_of(error)
    if problem is None:
        return None
    set_rollback()
    return JsonResponse(
        problem.body(),
        status=problem.status,
        headers=dict(problem.headers),
        content_type=MEDIA_TYPE,
        json_dumps_params={"ensure_ascii": False},
    )


@singledispatch
def problem_of(error: Exception) -> Problem | None:
    return None


@problem_of.register
def _(error: Invalid) -> Problem:
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, error.message, error.problems)


@problem_of.register
def _(error: ValidationError) -> Problem:
    wrong = list(_flat(error.detail))
    places = ", ".join(dict.fromkeys(found.pointer or "the body" for found in wrong[:5]))
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"Nothing was done: see {places}.", wrong)


@problem_of.register
def _(error: Unfit) -> Problem:
    detail = f"The body cannot be read: {error.pointer or 'it'} {error.message}."
    return Problem(HTTPStatus.BAD_REQUEST, detail, [schema.Problem(error.pointer, error.message)])


@problem_of.register
def _(error: Refused) -> Problem:
    return Problem(HTTPStatus.CONFLICT, error.message, more={"code": error.code, "allowed": error.allowed})


@problem_of.register
def _(error: NotPlanned) -> Problem:
    return Problem(HTTPStatus.CONFLICT, str(error), more={"code": error.state, "allowed": []})


@problem_of.register
def _(error: RequestDataTooBig) -> Problem:
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"{error} Send less, or in several requests.")


@problem_of.register
def _(error: Http404) -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, "There is nothing at this address.")


@problem_of.register
def _(error: PermissionDenied) -> Problem:
    return Problem(HTTPStatus.FORBIDDEN, str(error) or "This is not allowed to you.")


@problem_of.register
def _(error: OperationalError) -> Problem:
    logger.error("the database is away or busy: %s", error)
    detail = "The database is away or busy just now: nothing was done. Try again in a moment."
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers={"Retry-After": "2"})


@problem_of.register
def _(error: APIException) -> Problem:
    headers = {"WWW-Authenticate": said} if (said := getattr(error, "auth_header", "")) else {}
    return Problem(error.status_code, str(error.detail), headers=headers)


@problem_of.register
def _(error: Unknown) -> Problem:
    return Problem(error.status_code, str(error.detail), [error.problem])


@problem_of.register
def _(error: UnsupportedMediaType) -> Problem:
    return Problem(error.status_code, f"{error.detail} Send “Content-Type: application/json”.")


def _flat(detail: Any, at: tuple[str | int, ...] = ()) -> Iterator[schema.Problem]:
    """The framework's nested errors as places and words."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            yield from _flat(inner, at if name == WHOLE else (*at, name))
    elif isinstance(detail, list) and not all(isinstance(part, ErrorDetail) for part in detail):
        for n, inner in enumerate(detail):
            yield from _flat(inner, (*at, n))
    elif isinstance(detail, list):
        for part in detail:
            yield schema.Problem(schema.pointer(at), WORDS.get(part.code, str(part)))
    else:
        yield schema.Problem(schema.pointer(at), str(detail))
