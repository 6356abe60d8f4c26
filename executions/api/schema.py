"""The OpenAPI document: what the framework finds, plus what holds everywhere (problems, scopes, tokens)."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from rest_framework import serializers

from executions.api.authentication import scope_of
from executions.api.problems import MEDIA_TYPE
from tasks.api.fields import AnyOf, Text

PROBLEMS = {
    "400": "The body or the address cannot be read.",
    "401": "Nobody known is asking.",
    "403": "The scope is missing.",
    "404": "There is no such thing.",
    "406": "It is told as JSON alone.",
    "422": "A member is wrong: see `errors`. Nothing was done.",
}
PROBLEMS_OF_WRITES = {
    "409": "Not in this state: see `allowed`.",
    "413": "The body is larger than 10 MB.",
    "415": "Only JSON in UTF-8 is read.",
}
ALWAYS = {"503": "The database is away: try again."}
WITHOUT_NUL = r"^[^\u0000]*$"


class WrongMember(serializers.Serializer[Any]):
    pointer = serializers.CharField(help_text="Where (RFC 6901); the name of the parameter, if it is in the query.")
    message = serializers.CharField(help_text="What is wrong with it.")


class ProblemDetails(serializers.Serializer[Any]):
    """RFC 9457."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="What happened, and what to do.")
    errors = WrongMember(many=True)  # type: ignore[assignment]
    code = serializers.CharField(required=False, help_text="Of a refusal (409): why, as a word.")
    allowed = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="Of a refusal (409): the verbs that are allowed."
    )


class Schema(AutoSchema):
    """Every operation may meet the same problems and says which scope it needs."""

    def get_description(self) -> str:  # type: ignore[override]
        told = super().get_description() or ""
        scope = scope_of(self.view, self.method)
        return f"{told}\n\nScope: `{scope}`." if scope else told

    def _map_basic_serializer(self, serializer: Any, direction: Any) -> dict[str, Any]:
        schema: dict[str, Any] = super()._map_basic_serializer(serializer, direction)  # type: ignore[no-untyped-call]
        also = getattr(serializer, "also", None)
        return schema if also is None else {**schema, "additionalProperties": False, **also}

    def _map_serializer_field(self, field: Any, direction: Any, bypass_extensions: bool = False) -> dict[str, Any]:
        schema: dict[str, Any] = super()._map_serializer_field(  # type: ignore[no-untyped-call]
            field, direction, bypass_extensions
        )
        if isinstance(field, serializers.ListSerializer) and not field.allow_empty:
            return {**schema, "minItems": 1}
        if isinstance(field, Text):
            return {**schema, "minLength": 0 if field.allow_blank else 1, "pattern": WITHOUT_NUL}
        if isinstance(field, AnyOf):
            one = "|".join(field.words)
            return {**schema, "type": "string", "pattern": f"^({one})(,({one}))*$"}
        return schema

    def _get_request_body(self, direction: Any = "request") -> dict[str, Any] | None:
        body: dict[str, Any] | None = super()._get_request_body(direction)  # type: ignore[no-untyped-call]
        if body and getattr(self.get_request_serializer(), "also", {}):
            return {**body, "required": True}
        return body

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        problem = self.resolve_serializer(ProblemDetails, direction).ref
        content = {"content": {MEDIA_TYPE: {"schema": problem}}}
        writes = PROBLEMS_OF_WRITES if self.method in ("POST", "PATCH", "PUT", "DELETE") else {}
        told = {**PROBLEMS, **writes, **ALWAYS}
        return {**bodies, **{code: {"description": text, **content} for code, text in sorted(told.items())}}


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "executions.api.authentication.BearerAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "rb_…"}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "executions.api.authentication.SessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {"type": "apiKey", "in": "cookie", "name": "sessionid"}
