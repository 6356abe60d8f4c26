"""How an error is told: by its name, its words, the author's own stack, and whether trying again makes sense."""

import socket
import urllib.error
from email.message import Message
from typing import Any

import pytest

from tasks.sdk.errors import Fatal, Retryable, is_retryable, told


class HTTPError(Exception):
    """As requests and httpx have it."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.response = type("Response", (), {"status_code": status})()


class ConnectTimeout(Exception):
    """A stranger."""


class GatewayDown(Fatal, ConnectionError):
    """Says itself that trying again is pointless."""


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (Retryable("x"), True),
        (Fatal("x"), False),
        (GatewayDown("x"), False),
        (ConnectionResetError("x"), True),
        (TimeoutError("x"), True),
        (socket.gaierror(-2, "x"), True),
        (HTTPError(503), True),
        (HTTPError(429), True),
        (HTTPError(404), False),
        (urllib.error.HTTPError("http://x", 502, "bad", Message(), None), True),
        (ConnectTimeout("x"), False),
        (ValueError("x"), False),
        (KeyError("x"), False),
    ],
)
def test_passing_troubles_are_retryable_and_others_are_not(error: BaseException, answer: bool) -> None:
    assert is_retryable(error) is answer


def test_an_error_is_told_with_the_authors_stack_and_without_ours() -> None:
    try:
        raise ValueError("wrong\0 \udc80") from KeyError("cause")
    except ValueError as error:
        frame = told(error, hidden=("/nowhere/",))
    assert (frame["type"], frame["message"], frame["retryable"]) == ("ValueError", "wrong\ufffd ?", False)
    assert "KeyError: 'cause'" in frame["stack"]
    assert "test_errors.py" in frame["stack"]
    assert "test_errors.py" not in told(error_here(), hidden=(__file__,))["stack"]


def test_an_error_without_printable_words_is_told_all_the_same() -> None:
    class Odd(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert "could not be read" in told(Odd(), hidden=())["message"]


def test_names_say_where_an_error_comes_from() -> None:
    assert told(Retryable("x"), hidden=())["type"] == "Retryable"
    assert told(HTTPError(500), hidden=())["type"].endswith("test_errors.HTTPError")


def test_endless_words_are_cut() -> None:
    frame = told(ValueError("x" * 10**6), hidden=())
    assert len(frame["message"]) == 8000
    assert len(frame["stack"]) == 32_000


def error_here() -> Any:
    try:
        raise ValueError("x")
    except ValueError as error:
        return error
