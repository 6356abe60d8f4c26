"""A whole house: what it promises about its processes, told by killing them."""

import contextlib
import json
import os
import select
import signal
import socket
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.services import ROOT, House, free_port, spawn, until

pytestmark = pytest.mark.timeout(120)

NewHouse = Callable[..., House]
PARTS = ["redis", "web", "worker", "scheduler"]


def gone(house: House) -> bool:
    return until(lambda: not house.processes(), within=10, what="processes of the house are left")


def test_a_house_says_where_it_is_leaves_nothing_behind_and_knows_everybody_again(new_house: NewHouse) -> None:
    first = new_house(RUNBOARD_ADMIN_PASSWORD="chosen-by-the-operator")
    assert list(first.status()) == PARTS
    until(lambda: {row["state"] for row in first.status().values()} == {"running"})
    assert first.ask("GET", "/healthz") == (200, "ok\n")
    assert json.loads(first.manage("status", "--json"))["url"] == first.url
    running = first.manage("token", "made while it runs", "--scope", "read")
    assert first.stop(by=signal.SIGINT) == 0
    assert gone(first)
    assert {row["state"] for row in first.status().values()} == {"stopped"}
    stopped = first.manage("token", "made while it does not", "--scope", "read")

    second = new_house(home=first.home)
    assert (second.user, second.password) == ("admin", "chosen-by-the-operator")
    for secret in (running, stopped):
        assert second.api("GET", "executions/", Authorization=f"Bearer {secret}")[0] == 200


def test_what_the_house_keeps_is_its_owners_alone(house: House) -> None:
    files = [path for path in house.home.rglob("*") if not path.is_symlink()]
    open_to_others = [str(path) for path in files if stat.S_IMODE(path.stat().st_mode) & 0o077]
    assert {"admin-password", "db.sqlite3", "redis.sock", "secret-key"} - {path.name for path in files} <= {
        "db.sqlite3"
    }
    assert open_to_others == []


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_killed_is_back(house: House, part: str) -> None:
    killed = house.kill(part)
    house.is_back(part, since=killed)
    assert house.status()[part]["restarts"] > 0
    until(lambda: house.ask("GET", "/readyz")[1] == {"database": "ok", "redis": "ok"})


def test_a_caller_waits_while_the_web_server_starts_again(house: House) -> None:
    house.is_back("web", since=house.kill("web"))
    assert house.ask("GET", "/healthz")[0] == 200


def test_a_body_without_an_end_is_refused_before_eleven_megabytes(house: House) -> None:
    host, _, port = house.url.removeprefix("http://").partition(":")
    chunk = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
    sent = 0
    with socket.create_connection((host, int(port)), timeout=30) as caller:
        caller.sendall(b"POST /api/v1/tasks/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while sent < 500_000_000 and not select.select([caller], [], [], 0)[0]:
                caller.sendall(chunk)
                sent += len(chunk)
        answer = caller.recv(65536)
    assert b" 413 " in answer.partition(b"\r\n")[0]
    assert b"application/problem+json" in answer
    assert sent < 20_000_000  # what was read, and what the two sockets held beside it


def test_a_second_house_in_the_same_home_is_refused_and_told_where_the_first_is(house: House) -> None:
    said = house.home.parent / "second.log"
    with said.open("wb") as log:
        second = spawn([sys.executable, ROOT / "manage.py", "up"], env=house.environment, stdout=log)
        assert second.wait(30) == 1
    assert f"already running: {house.url}" in said.read_text()


def test_when_the_supervisor_is_killed_nothing_is_left(new_house: NewHouse) -> None:
    house = new_house()
    house.process.kill()
    house.process.wait()
    assert gone(house)
    assert "stopped" in house.manage("status")


def test_a_second_ctrl_c_does_not_wait(new_house: NewHouse) -> None:
    house = new_house(RUNBOARD_DRAIN_SECONDS="60")
    os.kill(house.pid("worker"), signal.SIGSTOP)  # it will not hear that it should stop
    house.process.send_signal(signal.SIGINT)
    until(lambda: house.status()["scheduler"]["state"] == "stopped")
    house.process.send_signal(signal.SIGINT)
    assert house.process.wait(10) == 0
    assert gone(house)


def test_a_taken_port_is_passed_over(house: House, new_house: NewHouse) -> None:
    taken = house.environment["PORT"]
    other = new_house(PORT=taken)
    assert other.url != house.url
    assert f"port {taken} is taken; using {other.url.rpartition(':')[2]}" in other.log


def test_a_home_too_deep_for_a_socket_works(new_house: NewHouse, tmp_path: Path) -> None:
    house = new_house(home=tmp_path / ("deep" * 20) / "home")
    assert house.ask("GET", "/readyz")[1]["redis"] == "ok"


def test_a_database_that_cannot_be_prepared_ends_the_start_and_says_so(new_house: NewHouse) -> None:
    house = new_house(wait=False, DATABASE_URL=f"postgres://nobody@127.0.0.1:{free_port()}/none")
    assert house.process.wait(60) == 1
    assert "The database could not be prepared; the lines above say why." in house.log
    assert gone(house)


def test_the_board_is_served_by_daphne_too(new_house: NewHouse) -> None:
    house = new_house(RUNBOARD_SERVER="daphne")
    assert house.ask("GET", "/healthz")[0] == 200
    assert house.stop() == 0
