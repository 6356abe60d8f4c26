"""docs/api.md is run as it stands, by bash and curl, against a real house."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest

from tests.services import ROOT, House, missing

GUIDE = (ROOT / "docs" / "api.md").read_text()


@pytest.mark.timeout(180)
def test_every_command_of_the_guide_does_what_it_says(house: House) -> None:
    if not shutil.which("curl"):
        missing("curl is missing: apt-get install curl")
    script = "\n".join(re.findall(r"^```sh\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL))
    run = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env={"PATH": os.environ["PATH"], "RUNBOARD_URL": house.url, "RUNBOARD_TOKEN": house.token},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr + run.stdout[-2000:]
    assert run.stderr == ""
    for told in ("{'imported': 300}", "'deployed': True", "cancelled", "is not a known member", "Hello Mira"):
        assert told in run.stdout
