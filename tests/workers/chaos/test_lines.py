"""The line that F6 pulls a worker's words through."""

import contextlib
import socket
from collections.abc import Iterator

import pytest

from workers.chaos.lines import Line


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        yield server


@pytest.fixture
def line(server: socket.socket) -> Iterator[Line]:
    with contextlib.closing(Line(("127.0.0.1", server.getsockname()[1]))) as line:
        yield line


def connected(line: Line, server: socket.socket) -> tuple[socket.socket, socket.socket]:
    """Both ends of a connection through the line, which has carried something."""
    near = socket.create_connection(("127.0.0.1", line.port))
    far, _ = server.accept()
    near.settimeout(5)
    near.sendall(b"first")
    assert far.recv(16) == b"first"
    return near, far


def test_it_carries_words_both_ways(line: Line, server: socket.socket) -> None:
    near, far = connected(line, server)
    with near, far:
        far.sendall(b"answer")
        assert near.recv(16) == b"answer"


def test_what_it_swallows_is_neither_carried_nor_refused_and_new_connections_are_served(
    line: Line, server: socket.socket
) -> None:
    near, far = connected(line, server)
    with near, far:
        assert line.swallow() == 1
        near.sendall(b"lost")
        far.settimeout(0.2)
        with pytest.raises(TimeoutError):
            far.recv(16)
        for end in connected(line, server):
            end.close()
