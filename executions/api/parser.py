"""Bodies: JSON in UTF-8, read by the same rules by which values are stored, so that both databases accept the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.utils.http import parse_header_parameters
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.parsers import BaseParser

from tasks.sdk.canonical import decode


class StrictParser(BaseParser):
    """Refuses, each with its place: what is no JSON, NaN, NUL, half surrogates, repeated names, depth past 64."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        _, how = parse_header_parameters(media_type or "")
        if how.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
            raise UnsupportedMediaType(media_type or "", detail="Send JSON in UTF-8: no other charset is read.")
        raw = stream.read(settings.BODY_LIMIT + 1)
        if len(raw) > settings.BODY_LIMIT:
            raise RequestDataTooBig(f"The body is larger than {settings.BODY_LIMIT:,} bytes.")
        return decode(raw)
