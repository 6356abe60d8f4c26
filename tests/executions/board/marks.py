"""Reading a page as a browser does, to find what the contract marks."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
SVG = {"use", "path", "rect", "stop", "circle"}


@dataclass
class Element:
    """An element with its attributes, and all the text inside it."""

    tag: str
    marks: dict[str, str]
    within: tuple[Element, ...]
    text: str = ""
    inside: list[Element] = field(default_factory=list)

    def all(self, **marks: str | None) -> list[Element]:
        """Elements inside with these attributes (`data_column="pending"`); None asks only that it is there."""
        wanted = {name.replace("_", "-"): value for name, value in marks.items()}
        return [
            found
            for found in self.inside
            if all(name in found.marks and value in (None, found.marks[name]) for name, value in wanted.items())
        ]

    def one(self, **marks: str | None) -> Element:
        found = self.all(**marks)
        assert len(found) == 1, (marks, len(found))
        return found[0]

    def tagged(self, tag: str) -> list[Element]:
        return [found for found in self.inside if found.tag == tag]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("", {}, ())
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        made = Element(tag, {name: value or "" for name, value in attrs}, tuple(self.open))
        for above in self.open:
            above.inside.append(made)
        if tag not in VOID | SVG:
            self.open.append(made)

    def handle_endtag(self, tag: str) -> None:
        if len(self.open) > 1 and self.open[-1].tag == tag:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        for above in self.open:
            above.text += data


def read(html: str | bytes) -> Element:
    """A page or a fragment."""
    reader = _Reader()
    reader.feed(html.decode() if isinstance(html, bytes) else html)
    return reader.root
