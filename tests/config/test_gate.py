import json
from pathlib import Path
from typing import Any

import pytest
from whitenoise import WhiteNoise

from config.gate import limit_body, serve_static

LIMIT = 100


class Caller:
    """The other end of an ASGI application: sends a body in chunks, keeps what it is answered."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = list(chunks) or [b""]
        self.asked = 0
        self.events: list[Any] = []

    async def receive(self) -> Any:
        chunk = self.chunks[self.asked]
        self.asked += 1
        return {"type": "http.request", "body": chunk, "more_body": self.asked < len(self.chunks)}

    async def send(self, event: Any) -> None:
        self.events.append(event)

    @property
    def status(self) -> int:
        return int(self.events[0]["status"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.events[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(event.get("body", b"") for event in self.events[1:])


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers 200 with the body it was sent."""
    body, more = b"", True
    while more:
        event = await receive()
        body, more = body + event["body"], event["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def scope(path: str = "/", *, method: str = "POST", **headers: str) -> Any:
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "method": method, "path": path, "headers": named}


async def test_a_body_within_the_limit_passes_whole() -> None:
    caller = Caller(b"a" * 60, b"b" * 40)
    await limit_body(echo, limit=LIMIT)(scope(), caller.receive, caller.send)
    assert (caller.status, caller.body) == (200, b"a" * 60 + b"b" * 40)


async def test_a_body_that_says_it_is_too_large_is_refused_unread() -> None:
    caller = Caller(b"a" * 101)
    await limit_body(echo, limit=LIMIT)(scope(content_length="101"), caller.receive, caller.send)
    assert (caller.status, caller.asked) == (413, 0)


async def test_a_body_without_an_end_is_refused_at_the_first_chunk_past_the_limit() -> None:
    caller = Caller(*[b"a" * 60] * 1000)
    await limit_body(echo, limit=LIMIT)(scope(), caller.receive, caller.send)
    assert (caller.status, caller.asked) == (413, 2)


async def test_the_refusal_is_a_problem_that_says_the_limit_and_ends_the_connection() -> None:
    caller = Caller()
    await limit_body(echo, limit=LIMIT)(scope(content_length="9" * 30), caller.receive, caller.send)
    problem = json.loads(caller.body)
    assert (caller.headers[b"content-type"], caller.headers[b"connection"]) == (b"application/problem+json", b"close")
    assert problem["status"] == 413
    assert "100 bytes" in problem["detail"]


@pytest.mark.parametrize("said", ["", "-1", "ten", "1e9", "²"])
async def test_a_length_that_is_no_number_is_left_to_the_server(said: str) -> None:
    caller = Caller(b"a")
    await limit_body(echo, limit=LIMIT)(scope(content_length=said), caller.receive, caller.send)
    assert caller.status == 200


@pytest.mark.parametrize("said", ["application/json; charset*=x''utf", "text/plain; a*=utf-9''b"])
async def test_a_content_type_that_django_cannot_read_is_refused(said: str) -> None:
    caller = Caller(b"{}")
    await limit_body(echo, limit=LIMIT)(scope(content_type=said), caller.receive, caller.send)
    assert (caller.status, json.loads(caller.body)["status"]) == (415, 415)


async def test_websockets_pass_the_limit_by() -> None:
    seen: list[str] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    caller, socket = Caller(), scope()
    socket["type"] = "websocket"
    await limit_body(application, limit=LIMIT)(socket, caller.receive, caller.send)
    assert seen == ["websocket"]


@pytest.fixture
def files(tmp_path: Path) -> WhiteNoise:
    (tmp_path / "board.css").write_text("body {}")
    return WhiteNoise(None, root=str(tmp_path), prefix="/static/")


async def asked(files: WhiteNoise, request: Any) -> Caller:
    caller = Caller()
    application = serve_static(echo, prefix="/static/", find=files.files.get)
    await application(request, caller.receive, caller.send)
    return caller


async def test_a_static_file_is_served_with_its_type(files: WhiteNoise) -> None:
    caller = await asked(files, scope("/static/board.css", method="GET"))
    assert (caller.status, caller.body) == (200, b"body {}")
    assert caller.headers[b"content-type"].startswith(b"text/css")


async def test_a_static_file_that_the_browser_has_is_not_sent_again(files: WhiteNoise) -> None:
    first = await asked(files, scope("/static/board.css", method="GET"))
    again = scope("/static/board.css", method="GET", if_none_match=first.headers[b"etag"].decode())
    assert (await asked(files, again)).status == 304


async def test_a_static_file_is_not_written_to(files: WhiteNoise) -> None:
    assert (await asked(files, scope("/static/board.css", method="POST"))).status == 405


@pytest.mark.parametrize("path", ["/static/none.css", "/static/../manage.py", "/static/", "/"])
async def test_what_is_no_static_file_is_left_to_the_application(files: WhiteNoise, path: str) -> None:
    assert (await asked(files, scope(path, method="GET"))).body == b""
