"""Templates: a partial is one element with one id; nothing in a page needs the policy to be relaxed."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.services import ROOT

TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
PARTIALS = [
    path for path in TEMPLATES if path.name.startswith("_") and path.parent.name in {"executions", "tasks", "workers"}
]
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
TAGS = re.compile(r"{%.*?%}|{#.*?#}", re.DOTALL)
COMMENTS = re.compile(r"{%\s*comment.*?endcomment\s*%}", re.DOTALL)
FORBIDDEN = {
    "a script in the page": r"<script(?![^>]*\bsrc=)",
    "a style in the page": r"<style|\sstyle\s*=",
    "a handler in an attribute": r"\son[a-z]+\s*=",
    "htmx that evaluates": r"hx-on|\bjs:|hx-trigger\s*=\s*['\"][^'\"]*\[",
    "user text unescaped": r"\|\s*safe\b|autoescape\s+off|safeseq",
    "another host": r"(?:src|href|action)\s*=\s*['\"](?:https?:)?//",
}


class Roots(HTMLParser):
    """The attributes of the elements that stand at the top of a fragment."""

    def __init__(self) -> None:
        super().__init__()
        self.depth = 0
        self.roots: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self.depth == 0:
            self.roots.append(dict(attrs))
        self.depth += tag not in VOID

    def handle_endtag(self, tag: str) -> None:
        self.depth -= tag not in VOID


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", PARTIALS, ids=name)
def test_a_partial_is_one_element_with_one_id(path: Path) -> None:
    parser = Roots()
    parser.feed(TAGS.sub("", COMMENTS.sub("", path.read_text())))
    assert len(parser.roots) == 1
    assert parser.roots[0].get("id")


@pytest.mark.parametrize("path", TEMPLATES, ids=name)
def test_nothing_in_a_template_needs_a_looser_policy(path: Path) -> None:
    text = COMMENTS.sub("", path.read_text())
    assert [what for what, pattern in FORBIDDEN.items() if re.search(pattern, text, re.IGNORECASE)] == []
