"""The bound on a request's head, asked of a real house."""

from __future__ import annotations

import socket
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from workers.bench.scratch import House

pytestmark = pytest.mark.house
PIECE = b"a" * 16_384


def connect(house: House) -> socket.socket:
    address = urlsplit(house.url)
    return socket.create_connection((address.hostname, address.port), timeout=10)


@pytest.mark.parametrize("beginning", [b"GET / HTTP/1.1\r\nX-Endless: ", b"GET /"])
def test_a_head_without_an_end_is_refused(house: House, beginning: bytes) -> None:
    with connect(house) as line:
        line.sendall(beginning)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            line.sendall(PIECE * 4096)


def test_a_large_body_is_no_large_head(house: House) -> None:
    status, _ = house.api("POST", "executions/", {"task": "nowhere", "input": {"text": "x" * 500_000}})
    assert status == 404


def test_what_is_too_long_is_told_so(house: House) -> None:
    with connect(house) as line:
        line.sendall(b"GET / HTTP/1.1\r\nX-Long: " + b"a" * 70_000)
        assert line.recv(4096).startswith(b"HTTP/1.1 431 ")


def test_requests_go_on_one_after_another_on_one_line(house: House) -> None:
    line = HTTPConnection(urlsplit(house.url).netloc, timeout=10)
    with closing(line):
        for _ in range(3):
            line.request("GET", "/healthz")
            response = line.getresponse()
            response.read()
            assert response.status == 200
