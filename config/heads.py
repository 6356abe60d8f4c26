"""A bound on the head of a request, which uvicorn's parser keeps in memory until it ends: one that never does is refused."""

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LONGEST_HEAD = 64 * 1024  # bytes of request line and headers
TOO_LONG = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\n"
    b"content-length: 45\r\n\r\nThe head of this request is over 64 KiB long."
)


class BoundedHead(HttpToolsProtocol):
    """Counts what comes before a head is complete; past the bound it answers 431 and hangs up."""

    _is_in_head = True
    _head = 0

    def on_message_begin(self) -> None:
        self._is_in_head, self._head = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._is_in_head:
            return
        self._head += len(data)
        transport: Any = self.transport
        if self._head > LONGEST_HEAD and not transport.is_closing():
            transport.write(TOO_LONG)
            transport.close()
