"""The socket's client in a real browser: what it does with frames, and what it says when there are none.

The server is played by the test, so that frames can come doubled, late, out of order, or not at all.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request, Route, WebSocketRoute

from tests.browser import Complaints
from tests.services import ROOT, until

HOME = "http://board.test/"
COLUMNS = ("planning", "pending", "running", "completed", "failed")
POLICY = "default-src 'none'; script-src 'self'; connect-src 'self' ws://board.test; img-src data:"
SCRIPT = """
import * as live from "/live.js";
window.live = live;
window.said = [];
window.moved = [];
window.back = 0;
document.addEventListener("live:back", () => (window.back += 1));
document.addEventListener("live:applied", ({ detail }) => window.moved.push(...detail.moved));
live.connect("/ws/board/", { since: "2026-01-01T00:00:00.000000Z", poll: "/board/changes/",
                             onStatus: ({ state }) => window.said.push(state) });
"""


def card(name: str, version: int, column: str, order: float, *, inside: str = "") -> dict[str, Any]:
    marks = f'id="execution-{name}" data-execution="{name}" data-version="{version}" data-in="{column}"'
    html = (
        f'<article class="card" {marks} data-order="{order}" tabindex="0"><a href="/x/{name}">{name} v{version}</a>'
        f'{inside}<div class="why"><p data-reason="next">why {version}</p></div></article>'
    )
    return {"id": f"execution-{name}", "version": version, "column": column, "html": html}


def page_html(*cards: dict[str, Any], questions: int = 0) -> str:
    columns = ""
    for column in COLUMNS:
        inside = "".join(each["html"] for each in cards if each["column"] == column)
        head = f'<section data-column="{column}" data-count="0">'
        columns += f'{head}<div data-cards>{inside}<p class="empty">-</p></div></section>'
    title = f"({questions}) Board" if questions else "Board"
    return (
        f'<!doctype html><html lang="en"><head><title>{title}</title><link rel="icon" href="data:,"></head><body>'
        f'<p id="live-status"></p><b data-questions hidden>0</b>{columns}<script type="module" src="/page.js"></script>'
    )


@dataclass
class Server:
    """Plays the house for one page."""

    page: Page
    html: str = field(default_factory=page_html)
    sockets: list[WebSocketRoute] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    polled: dict[str, Any] | None = None
    is_blocked: bool = False

    def serve(self) -> None:
        self.page.route("**/*", self._answer)
        self.page.route_web_socket("**/ws/**", self._connect)

    def _answer(self, route: Route, request: Request) -> None:
        path = request.url.removeprefix(HOME)
        self.requests.append(path)
        if path.startswith("board/changes/") and self.polled is not None:
            route.fulfill(json=self.polled)
        elif path.startswith("board/changes/"):
            route.abort()
        elif path.endswith("live.js"):
            route.fulfill(path=ROOT / "static/executions/live.js", content_type="text/javascript")
        elif path.endswith("page.js"):
            route.fulfill(body=SCRIPT, content_type="text/javascript")
        else:
            route.fulfill(body=self.html, content_type="text/html", headers={"Content-Security-Policy": POLICY})

    def _connect(self, socket: WebSocketRoute) -> None:
        if self.is_blocked:
            socket.close(code=1008)
        else:
            self.sockets.append(socket)

    def open(self) -> None:
        self.page.goto(HOME)
        self.says({"cursor": "2026-01-01T00:00:01.000000Z"})

    def says(self, *told: dict[str, Any]) -> None:
        """Through the newest socket."""
        until(lambda: self.page.evaluate("1") and self.sockets, what="the page opens no socket")
        for frame in told:
            self.sockets[-1].send(json.dumps(frame))

    def cards(self, column: str) -> list[str]:
        shown = "cards => cards.map(card => card.querySelector('a').textContent)"
        names: list[str] = self.page.locator(f"[data-column={column}] .card").evaluate_all(shown)
        return names

    def shows(self, column: str, *names: str) -> None:
        until(lambda: self.cards(column) == list(names), within=10, what=f"{column}: {self.cards(column)}, not {names}")

    @property
    def status(self) -> str:
        return self.page.locator("#live-status").inner_text()


@pytest.fixture
def server(browser: Browser, complaints: Complaints) -> Iterator[Server]:
    context = browser.new_context()
    page = context.new_page()
    complaints.listen(page)
    server = Server(page)
    server.serve()
    yield server
    context.close()
    complaints.said = [said for said in complaints.said if "ERR_FAILED" not in said]  # requests that the test refused


def test_cards_take_their_places(server: Server) -> None:
    server.open()
    server.says({"cards": [card("b", 1, "pending", 2), card("a", 1, "pending", 1), card("d", 1, "completed", -5)]})
    server.says({"cards": [card("c", 1, "pending", 1.5), card("e", 1, "completed", -6)]})
    server.shows("pending", "a v1", "c v1", "b v1")
    server.shows("completed", "e v1", "d v1")
    server.says({"cards": [card("c", 2, "running", -1), card("a", 2, "pending", 3)]})
    server.shows("pending", "b v1", "a v2")
    server.shows("running", "c v2")
    assert server.page.evaluate("moved.at(-1)") == {"id": "execution-c", "from": "pending", "to": "running"}


def test_counts_title_and_badges_follow(server: Server) -> None:
    server.open()
    counts = {"planning": 1, "pending": 2, "running": 3, "completed": 1001, "failed": 0}
    server.says({"counts": counts, "questions": 2})
    until(lambda: server.page.title() == "(2) Board", within=5)
    assert server.page.locator("[data-questions]").inner_text() == "2"
    column = server.page.locator("[data-column=running]")
    until(lambda: column.get_attribute("data-count") == "3", within=5)
    server.says({"questions": 0})
    until(lambda: server.page.title() == "Board", within=5)
    assert server.page.locator("[data-questions]").is_hidden()


@pytest.mark.parametrize("seed", range(4))
def test_doubles_and_disorder_are_harmless(server: Server, seed: int) -> None:
    """Whatever order histories arrive in, the page ends as the database is."""
    dice = random.Random(seed)
    told: list[dict[str, Any]] = []
    newest: dict[str, tuple[str, float, str] | None] = {}
    for name in "abcdefghijkl":
        for version in range(1, 9):
            if dice.random() < 0.15:
                newest[name] = None
                told.append({"gone": [{"id": f"execution-{name}", "version": version}]})
            else:
                column, order = dice.choice(COLUMNS[1:]), float(dice.randint(-99, 99))
                newest[name] = (column, order, f"{name} v{version}")
                told.append({"cards": [card(name, version, column, order)]})
    told += dice.choices(told, k=len(told) // 2)
    dice.shuffle(told)
    server.open()
    server.says(*told)
    for column in COLUMNS[1:]:
        there = sorted((order, text) for place, order, text in filter(None, newest.values()) if place == column)
        until(lambda there=there, column=column: sorted(server.cards(column)) == sorted(text for _, text in there))  # type: ignore[misc]
        orders = server.page.locator(f"[data-column={column}] .card").evaluate_all(
            "cards => cards.map(card => Number(card.dataset.order))"
        )
        assert orders == sorted(orders)


def test_what_left_stays_away_until_it_is_newer(server: Server) -> None:
    server.open()
    server.says({"cards": [card("a", 2, "pending", 1)]})
    server.shows("pending", "a v2")
    server.says({"gone": [{"id": "execution-a", "version": 3}]}, {"cards": [card("a", 2, "pending", 1)]})
    server.shows("pending")
    server.says({"cards": [card("a", 4, "failed", 1)]})
    server.shows("failed", "a v4")


def test_a_card_in_hand_waits(server: Server) -> None:
    server.open()
    server.says({"cards": [card("a", 1, "pending", 1), card("b", 1, "pending", 2)]})
    server.shows("pending", "a v1", "b v1")
    server.page.evaluate("live.hold('execution-a')")
    server.says(
        {"cards": [card("a", 3, "running", 1), card("b", 2, "pending", 2)]}, {"cards": [card("a", 2, "failed", 1)]}
    )
    server.shows("pending", "a v1", "b v2")
    server.page.evaluate("live.release('execution-a')")
    server.shows("running", "a v3")


def test_an_answer_never_undoes_what_the_socket_brought(server: Server) -> None:
    server.open()
    server.says({"cards": [card("a", 5, "completed", 1)]})
    server.shows("completed", "a v5")
    server.page.evaluate("html => live.apply(html)", card("a", 4, "pending", 1)["html"])
    server.shows("completed", "a v5")
    server.page.evaluate("html => live.apply(html)", card("a", 5, "failed", 1)["html"])
    server.shows("failed", "a v5")


def test_focus_and_what_is_open_stay(server: Server) -> None:
    inside = '<details><summary>More</summary><button formaction="/cancel">Cancel</button></details>'
    server.open()
    server.says({"cards": [card("a", 1, "pending", 1, inside=inside)]})
    server.shows("pending", "a v1")
    server.page.locator("summary").click()
    server.page.locator("button").focus()
    server.says({"cards": [card("a", 2, "running", 1, inside=f"<p>news</p>{inside}")]})
    server.shows("running", "a v2")
    assert server.page.evaluate("document.activeElement.textContent") == "Cancel"
    assert server.page.locator("details").get_attribute("open") is not None


def test_focus_goes_to_the_neighbour_of_what_left(server: Server) -> None:
    server.open()
    server.says({"cards": [card("a", 1, "pending", 1), card("b", 1, "pending", 2)]})
    server.shows("pending", "a v1", "b v1")
    server.page.locator("#execution-a").focus()
    server.says({"gone": [{"id": "execution-a", "version": 2}]})
    server.shows("pending", "b v1")
    assert server.page.evaluate("document.activeElement.id") == "execution-b"


def test_a_reason_belongs_to_one_version(server: Server) -> None:
    server.open()
    why = {"version": 1, "code": "slots_busy", "sentence": "All busy.", "act": True, "due": ""}
    server.says({"cards": [card("a", 1, "pending", 1), card("b", 2, "pending", 2)], "why": {"a": why, "b": why}})
    until(lambda: server.page.locator("#execution-a [data-reason]").inner_text() == "All busy.", within=5)
    assert server.page.locator("#execution-a [data-reason]").get_attribute("data-reason") == "slots_busy"
    assert server.page.locator("#execution-b [data-reason]").inner_text() == "why 2"


def test_a_page_open_all_day_keeps_its_size(server: Server) -> None:
    server.open()
    server.says(*({"cards": [card(f"c{n}", 1, "completed", -n)]} for n in range(120)))
    server.shows("completed", *(f"c{n} v1" for n in range(119, 19, -1)))
    more = server.page.locator("[data-column=completed] [data-more]").get_attribute("href")
    assert more == "/?column=completed&after=1970-01-01T00%3A00%3A20.000001%2B00%3A00%7Ec20"
    server.says({"cards": [card("c3", 2, "completed", -3)]})
    server.says({"cards": [card("new", 1, "completed", -999)]})
    server.shows("completed", "new v1", *(f"c{n} v1" for n in range(119, 20, -1)))


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_motion_is_shown_to_who_wants_it(server: Server, motion: Any) -> None:
    server.page.emulate_media(reduced_motion=motion)
    server.open()
    server.says({"cards": [card("a", 1, "pending", 1)]})
    server.shows("pending", "a v1")
    server.page.evaluate(
        """() => { window.glided = 0; const animate = Element.prototype.animate;
        Element.prototype.animate = function (...how) { window.glided += 1; return animate.apply(this, how); } }"""
    )
    server.says({"cards": [card("a", 2, "running", 1)]})
    server.shows("running", "a v2")
    assert server.page.evaluate("glided") == (1 if motion == "no-preference" else 0)


# What it says when there is nothing to hear


@pytest.fixture
def ahead(server: Server) -> Callable[[int], None]:
    """The page's clock is the test's: it goes ahead by so many milliseconds."""
    server.page.clock.install()

    def go(milliseconds: int) -> None:
        for _ in range(milliseconds // 500):
            server.page.clock.run_for(500)

    return go


def test_a_cut_is_said_and_healed(server: Server, ahead: Callable[[int], None]) -> None:
    server.open()
    until(lambda: server.page.evaluate("document.body.dataset.live") == "on", within=5)
    assert server.status == ""
    server.says({"cursor": "2026-01-01T00:00:09.000000Z"})
    server.is_blocked = True
    server.sockets[-1].close(code=1001)
    ahead(2000)
    assert server.status == ""
    ahead(1500)
    assert server.status == "Live updates paused — reconnecting"
    assert server.page.evaluate("document.body.dataset.live") == "off"
    ahead(7000)
    assert "may be stale" in server.status
    server.is_blocked = False
    ahead(5000)
    until(lambda: len(server.sockets) == 2, within=5, what="it does not reconnect")
    assert server.sockets[-1].url.endswith("/ws/board/?since=2026-01-01T00%3A00%3A09.000000Z")
    server.says({"cards": [card("a", 1, "pending", 1)], "cursor": "2026-01-01T00:01:00.000000Z"})
    ahead(500)
    server.shows("pending", "a v1")
    assert server.status == ""
    assert server.page.evaluate("said")[-5:] == ["live", "connecting", "paused", "stale", "live"]
    assert server.page.evaluate("back") == 1


def test_a_silent_socket_is_as_good_as_cut(server: Server, ahead: Callable[[int], None]) -> None:
    server.open()
    until(lambda: server.page.evaluate("document.body.dataset.live") == "on", within=5)
    ahead(3500)
    assert server.status == "Live updates paused — reconnecting"
    ahead(3000)
    until(lambda: len(server.sockets) == 2, within=5, what="it does not reconnect")


def test_where_no_websocket_comes_through_it_asks(server: Server, ahead: Callable[[int], None]) -> None:
    server.is_blocked = True
    server.page.goto(HOME)
    server.polled = {"cards": [card("a", 1, "pending", 1)], "cursor": "2026-01-01T00:00:09.000000Z"}
    ahead(12_000)
    until(lambda: "board/changes/?since=2026-01-01T00%3A00%3A00.000000Z" in server.requests, within=5)
    ahead(500)
    server.shows("pending", "a v1")
    until(lambda: "fetched every 10 s" in server.status, within=5)
    server.polled = {"cards": [card("a", 2, "running", 1)], "cursor": "2026-01-01T00:00:19.000000Z"}
    ahead(12_000)
    until(lambda: "board/changes/?since=2026-01-01T00%3A00%3A09.000000Z" in server.requests, within=5)
    ahead(500)
    server.shows("running", "a v2")


def test_a_failing_poll_is_not_repeated_at_once(server: Server, ahead: Callable[[int], None]) -> None:
    server.is_blocked = True
    server.page.goto(HOME)
    ahead(40_000)
    assert sum(path.startswith("board/changes/") for path in server.requests) <= 4
    assert "may be stale" in server.status


@pytest.mark.parametrize(("code", "word"), [(4401, "signed out"), (4403, "no longer")])
def test_who_is_let_go_is_told_why(server: Server, ahead: Callable[[int], None], code: int, word: str) -> None:
    server.open()
    server.sockets[-1].close(code=code)
    until(lambda: word in server.status, within=5)
    ahead(30_000)
    assert len(server.sockets) == 1


def test_redis_away_is_said(server: Server) -> None:
    server.open()
    server.says({"degraded": "Redis is away: updates arrive every 2 s."})
    until(lambda: server.status == "Redis is away: updates arrive every 2 s.", within=5)
    assert server.page.evaluate("document.body.dataset.live") == "on"
    server.says({"degraded": ""})
    until(lambda: server.status == "", within=5)


def test_reset_fetches_the_page_again(server: Server) -> None:
    server.open()
    server.says({"cards": [card("a", 1, "pending", 1), card("old", 7, "failed", 1)]})
    server.shows("pending", "a v1")
    server.html = page_html(card("a", 9, "completed", 1), card("b", 1, "pending", 1))
    server.says({"reset": True, "cursor": "2026-01-01T01:00:00.000000Z"})
    server.shows("completed", "a v9")
    server.shows("pending", "b v1")
    server.shows("failed")
    server.says({"cards": [card("b", 2, "running", 1)]})
    server.shows("running", "b v2")


def test_a_hidden_tab_catches_up_when_it_is_shown(server: Server) -> None:
    server.open()
    server.page.evaluate("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
    server.says({"cards": [card("a", 1, "pending", 1)], "questions": 1})
    until(lambda: server.page.title() == "(1) Board", within=5)
    assert server.cards("pending") == []
    server.page.evaluate(
        "Object.defineProperty(document, 'hidden', { value: false, configurable: true });"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    server.shows("pending", "a v1")
