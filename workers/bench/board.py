"""How soon a change stands in somebody else's browser: from the commit to the card in the page, in a real Chromium."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

from workers.bench.engine import launch, make_task
from workers.bench.figure import Figure, spread

SAMPLES = 60
WARM_UP = 5
PATIENCE = 10_000  # milliseconds
PAUSE = 0.2  # seconds between two changes, longer than the hub's window
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync")  # fmt: skip
NOTE = """() => { window.seen = {}; new MutationObserver(() => {
    for (const card of document.querySelectorAll('[data-execution]')) window.seen[card.dataset.execution] ??= Date.now();
}).observe(document.body, {childList: true, subtree: true}) }"""


def figures(url: str) -> Iterator[Figure]:
    """One row: milliseconds from the commit of a submit to its card in a second browser, whose tab only watches."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        sys.exit("`bench board` looks through a browser: run `make test` once, which installs what that needs.")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # Playwright's own loop runs in this thread, beside our plain calls
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(FLAGS))
        watching = _logged_in(browser, url)
        watching.evaluate(NOTE)
        samples = list(_samples(watching))
        browser.close()
    yield spread("a change in a second browser", connection.vendor, samples, unit="ms", limit="p95 ≤ 300")


def _samples(page: Any) -> Iterator[float]:
    task = make_task("bench-seen", kind="action", handler="bench.stamp")
    for number in range(WARM_UP + SAMPLES):
        pk = str(launch(task))
        committed = time.time() * 1000
        page.wait_for_selector(f'[data-execution="{pk}"]', state="attached", timeout=PATIENCE)
        if number >= WARM_UP:
            yield max(0.0, page.evaluate(f"window.seen['{pk}']") - committed)
        time.sleep(PAUSE)


def _logged_in(browser: Any, url: str) -> Any:
    page = browser.new_context().new_page()
    page.goto(f"{url}/accounts/login/")
    page.fill("[name=username]", "admin")
    page.fill("[name=password]", (Path(settings.HOME) / "admin-password").read_text().strip())
    page.click("form [type=submit]")
    page.wait_for_selector('body[data-live="on"]', timeout=PATIENCE)
    return page
