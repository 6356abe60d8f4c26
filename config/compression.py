"""Pages go over the network compressed, and streams as they are.

Django makes a gzip member of every piece of a stream, and a browser reads the first member alone: a long log would end there.
"""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware


class Compression(GZipMiddleware):
    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        return response if response.streaming else super().process_response(request, response)
