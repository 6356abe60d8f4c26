"""The frame of every page, and the pages that stand alone."""

import re

import pytest
from django.contrib.auth.models import User
from django.template.loader import render_to_string
from django.test import Client, override_settings

from tests.executions.board.marks import Element, read
from tests.services import ROOT

pytestmark = pytest.mark.django_db


def rail(client: Client, path: str = "/") -> Element:
    return next(nav for nav in read(client.get(path).content).tagged("nav") if nav.marks["aria-label"] == "Main")


def test_the_rail_leads_to_what_exists_and_marks_where_one_is(client: Client, mira: User) -> None:
    client.force_login(mira)
    links = rail(client).tagged("a")[1:]
    assert [link.marks["href"] for link in links] == [
        "/",
        "/executions/",
        "/questions/",
        "/tasks/",
        "/schedules/",
        "/workers/",
        "/api/docs/",
    ]
    assert [link.marks["href"] for link in links if link.marks.get("aria-current") == "page"] == ["/"]
    for link in links:
        assert client.get(link.marks["href"]).status_code == 200


def test_only_staff_is_led_to_the_admin(client: Client, boss: User) -> None:
    client.force_login(boss)
    assert "/admin/" in [link.marks["href"] for link in rail(client).tagged("a")]


def test_one_signs_in_with_name_and_password(client: Client, mira: User) -> None:
    wrong = client.post("/accounts/login/", {"username": "mira", "password": "guess"})
    page = read(wrong.content)
    assert "don’t match" in page.one(role="alert").text
    assert page.one(name="username").marks["value"] == "mira"
    assert page.one(name="password").marks["aria-describedby"] == "wrong"
    assert "value" not in page.one(name="password").marks
    right = client.post("/accounts/login/", {"username": "mira", "password": "a password of mira", "next": "/tasks/"})
    assert (right.status_code, right["Location"]) == (302, "/tasks/")


def test_signing_in_leads_nowhere_else(client: Client, mira: User) -> None:
    said = {"username": "mira", "password": "a password of mira", "next": "https://elsewhere.example/"}
    assert client.post("/accounts/login/", said)["Location"] == "/"


@override_settings(AXES_ENABLED=True, AXES_FAILURE_LIMIT=2)
def test_who_guesses_has_to_wait_and_is_told_so(client: Client, mira: User) -> None:
    for _ in range(2):
        response = client.post("/accounts/login/", {"username": "mira", "password": "guess"})
    assert response.status_code == 429
    assert "2 wrong passwords in a row" in read(response.content).one(role="alert").text


def test_one_signs_out_by_a_button(client: Client, mira: User) -> None:
    client.force_login(mira)
    page = read(client.get("/").content)
    forms = [form.marks["action"] for form in page.tagged("form") if "action" in form.marks]
    assert "/accounts/logout/" in forms
    client.post("/accounts/logout/")
    assert client.get("/").status_code == 302


def test_what_is_not_there_says_so(client: Client, mira: User) -> None:
    client.force_login(mira)
    response = client.get("/no/such/page/")
    assert response.status_code == 404
    assert "There is no such page" in response.content.decode()


@pytest.mark.parametrize("name", ["403.html", "404.html", "500.html"])
def test_pages_of_last_resort_need_nothing(name: str) -> None:
    """They are drawn when the database, or the request itself, may be what is wrong."""
    assert read(render_to_string(name)).tagged("h1")


def test_every_icon_that_a_template_names_is_in_the_sprite() -> None:
    sprite = set(re.findall(r'<symbol id="([^"]+)"', (ROOT / "static" / "icons.svg").read_text()))
    texts = [path.read_text() for path in (ROOT / "templates").rglob("*.html")]
    named = {name for text in texts for name in re.findall(r"{{ icons }}#([a-z0-9-]+)\"", text)}
    assert named <= sprite
