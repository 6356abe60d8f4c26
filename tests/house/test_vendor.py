"""What we took from elsewhere is what we say it is."""

import hashlib
import re

from tests.services import ROOT

VENDOR = ROOT / "static" / "vendor"
LINE = re.compile(r"\| `(?P<path>[^`]+)` \| [^|]+ \| `(?P<digest>[0-9a-f]{64})` \|")


def test_vendored_scripts_are_unchanged_and_listed() -> None:
    listed = {found["path"]: found["digest"] for found in LINE.finditer((VENDOR / "README.md").read_text())}
    there = {
        str(path.relative_to(VENDOR)): hashlib.sha256(path.read_bytes()).hexdigest() for path in VENDOR.rglob("*.js")
    }
    assert listed == there


def test_a_page_loads_the_version_that_is_listed() -> None:
    head = (ROOT / "templates" / "_head.html").read_text()
    assert all(f"vendor/{path.relative_to(VENDOR)}" in head for path in VENDOR.rglob("*.js"))
