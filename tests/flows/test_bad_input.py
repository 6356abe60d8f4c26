"""What nobody should send, and scripts that nobody should write: refused with its place, or kept within limits; never an
error of ours, and what people read of it is text."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from tests.browser import card, column
from tests.services import House

A_MEGABYTE = 1_000_000
SUBMIT = b'{"task": "summarise-csv", "input": %s}'
LOUD = r"""
import os, sys
import runboard

@runboard.task
def shout():
    os.write(1, bytes(range(256)) + b"\n")
    os.write(1, b"\xff\xfe half a rune \xc3\n")
    sys.stdout.write("endless " * 500_000)
    sys.stdout.write("\n")
    for number in range(30_000):
        print("line", number, "." * 80)
    return {"said": "enough"}
"""
TRAPS = [
    "<script>document.title = 'owned'; alert(1)</script>",
    "<img src=/planted onerror=alert(1)>",
    "<b hx-get=/planted hx-trigger=load>x</b>",
    "\x1b]8;;javascript:alert(1)\x07click\x1b]8;;\x07 \x1b[31mred\x1b[0m",
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% debug %}",
    "</textarea></pre></script><svg onload=alert(1)>",
    "\u202egnp.exe\u2066",
]
HOSTILE = f"""
import runboard

TRAPS = {TRAPS!r}

@runboard.task
def trap():
    for text in TRAPS:
        print(text)
    runboard.progress(0.5, TRAPS[1])
    runboard.step(TRAPS[0], lambda: TRAPS)
    answer = runboard.ask(TRAPS[2], options=[
        {{"value": text, "label": text, "consequence": text}} for text in TRAPS[:4]
    ])
    if answer == TRAPS[0]:
        raise ValueError(TRAPS[1])
    return {{text: text for text in TRAPS}}
"""


# What is sent


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b"{", ""),
        (SUBMIT % b'{"csv": "a\\u0000b"}', "/input/csv"),
        (SUBMIT % b'{"csv": "\\ud800"}', "/input/csv"),
        (SUBMIT % b'{"csv": NaN}', ""),
        (SUBMIT % (b"[" * 100_000 + b"]" * 100_000), ""),
        (b'{"task": "caf\xe9"}', ""),
        (b'{"task": "summarise-csv", "task": "long-import"}', ""),
    ],
)
def test_a_body_that_cannot_be_read_is_a_bad_request(house: House, body: bytes, place: str) -> None:
    status, problem = send(house, "executions/", body)
    assert (status, problem["status"]) == (400, 400)
    assert problem["errors"][0]["pointer"].startswith(place)
    assert problem["errors"][0]["message"]


@pytest.mark.parametrize(
    ("members", "status", "place"),
    [
        ({"task": "summarise-csv"}, 422, "/input/csv"),
        ({"task": "summarise-csv", "input": {"csv": 7}}, 422, "/input/csv"),
        ({"task": "summarise-csv", "input": {"csv": "a", "tsv": "b"}}, 422, "/input"),
        ({"task": "summarise-csv", "input": {"csv": "a"}, "colour": "red"}, 422, "/colour"),
        ({"task": "summarise-csv", "input": {"csv": "a"}, "queue": "no-such-queue"}, 422, "/queue"),
        ({"task": "summarise-csv", "input": {"csv": "a"}, "ttl": -5}, 422, "/ttl"),
        ({"task": "no-such-task"}, 404, "/task"),
        ({}, 422, "/task"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_created(
    house: House, members: dict[str, Any], status: int, place: str
) -> None:
    before = newest(house)
    answer, problem = house.api("POST", "executions/", members)
    assert (answer, problem["status"]) == (status, status)
    assert problem["errors"][0]["pointer"].startswith(place)
    assert newest(house) == before


def test_more_than_ten_megabytes_are_refused_however_they_are_sent(house: House) -> None:
    body = SUBMIT % json.dumps({"csv": "x" * 11 * A_MEGABYTE}).encode()
    assert send(house, "executions/", body)[0] == 413
    assert send(house, "executions/", in_chunks(body))[0] == 413


def test_verbs_are_refused_with_the_reason_where_they_do_not_apply(house: House) -> None:
    nobody = "01890000-0000-7000-8000-000000000000"
    done = house.submit("log-fountain", {"lines": 1})
    house.reaches(done, "completed")
    asks = house.submit("release-assistant")
    house.reaches(asks, "waiting")
    (question,) = house.rows(f"executions/{asks}/questions/")
    answer = f"questions/{question['id']}/answer/"

    assert refused(house, f"executions/{nobody}/cancel/") == 404
    assert refused(house, f"questions/{nobody}/answer/", {"value": "x"}) == 404
    assert refused(house, f"executions/{done}/cancel/") == 409
    assert refused(house, answer, {"value": "no such option"}) == 422
    assert refused(house, answer, {"value": ["hold"]}) == 422
    assert refused(house, answer, {"valu": "hold"}) == 422
    assert house.api("POST", answer, {"value": "hold"})[0] == 200
    assert refused(house, answer, {"value": "deploy"}) == 409
    assert house.reaches(asks, "completed")["output"]["decision"] == "hold"


# What is run


def test_a_script_that_shouts_is_kept_within_limits_and_its_page_opens(
    house: House, page: Page, task: Callable[..., str]
) -> None:
    pk = house.submit(task(LOUD))
    done = house.reaches(pk, "completed")
    assert done["output"] == {"said": "enough"}
    lines = house.rows(f"executions/{pk}/logs/?limit=200")[:4]
    assert "\N{REPLACEMENT CHARACTER}" in lines[0]["text"], "what is no text is marked"
    endless = next(line["text"] for line in lines if line["text"].startswith("endless"))
    assert len(endless) < 100_000
    assert "cut" in endless[-100:]

    page.goto(f"/executions/{pk}/")
    expect(page.get_by_role("log")).to_contain_text("line 29999")
    assert page.locator("[data-line]").count() <= 500
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the whole log").click()
    assert b"line 15000" in download.value.path().read_bytes()


@pytest.mark.parametrize("answer", [TRAPS[0], TRAPS[1]], ids=["fails", "completes"])
def test_what_authors_write_is_shown_as_text_everywhere(
    house: House, page: Page, task: Callable[..., str], answer: str
) -> None:
    asked_for: list[str] = []
    page.on("request", lambda request: asked_for.append(request.url))
    slug = task(HOSTILE, title=TRAPS[1], description=TRAPS[0], labels=[TRAPS[2]], agent=TRAPS[4])
    pk = house.submit(slug, title=TRAPS[0])
    house.reaches(pk, "waiting")
    shown = column(page, "running").locator(card(page, pk))
    expect(shown).to_contain_text(TRAPS[0])
    expect(shown.locator("[data-reason]")).to_contain_text(TRAPS[2])
    page.goto(f"/executions/{pk}/")
    expect(page.locator("form.answer")).to_contain_text(TRAPS[1])
    (question,) = house.rows(f"executions/{pk}/questions/")
    assert house.api("POST", f"questions/{question['id']}/answer/", {"value": answer, "note": TRAPS[6]})[0] == 200
    house.reaches(pk, "completed", "failed")
    for path in (
        f"/executions/{pk}/",
        "/",
        "/executions/",
        "/questions/",
        "/tasks/",
        f"/tasks/{slug}/",
        f"/tasks/{slug}/run/",
    ):
        page.goto(path)
        expect(page.locator("body")).to_contain_text(
            "<img src=/planted" if path != "/questions/" else "hx-get=/planted"
        )
    page.goto("/admin/executions/execution/")
    expect(page.locator("body")).to_contain_text("<script>")
    assert "owned" not in page.title()
    assert [url for url in asked_for if "planted" in url] == []


@pytest.fixture
def task(house: House) -> Callable[..., str]:
    """Defines a sandboxed Python task; its slug."""

    def define(source: str, **members: Any) -> str:
        document = {"slug": f"test-{uuid4().hex}", "kind": "script", "runtime": "python", "source": source, **members}
        status, answer = house.api("POST", "tasks/", document)
        assert status == HTTPStatus.CREATED, answer
        return str(document["slug"])

    return define


def newest(house: House) -> list[str]:
    """The id of the execution that was submitted last, if there is one."""
    return [row["id"] for row in house.api("GET", "executions/?limit=1")[1]["results"]]


def refused(house: House, path: str, value: Any = None) -> int:
    """The status of a verb that must be refused, with words."""
    status, problem = house.api("POST", path, value)
    assert problem["detail"]
    assert problem["status"] == status
    return status


def send(house: House, path: str, body: bytes | Iterator[bytes]) -> tuple[int, Any]:
    """A body as it is. Whoever is refused early may find the connection closed while still sending: the answer counts."""
    connection = HTTPConnection(urlsplit(house.url).netloc, timeout=30)
    headers = {"Authorization": f"Bearer {house.token}", "Content-Type": "application/json"}
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.request("POST", f"/api/v1/{path}", body=body, headers=headers)
    answer = connection.getresponse()
    status, said = answer.status, answer.read()
    connection.close()
    return status, json.loads(said)


def in_chunks(body: bytes) -> Iterator[bytes]:
    """No length is declared."""
    yield from (body[at : at + 65536] for at in range(0, len(body), 65536))
