"""A house from its first start to its second: what it says, what it keeps, and that nothing of it is left in between."""

import json
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from tests.services import ROOT, House, spawn, until

DEMO = {
    "summarise-csv",
    "release-assistant",
    "long-import",
    "flaky-gateway",
    "log-fountain",
    "order-processing",
    "onboarding",
}
NO_SANDBOX = "bubblewrap is not installed, so nothing can be sandboxed here: apt install bubblewrap"

NewHouse = Callable[..., House]


def test_a_house_is_started_used_stopped_and_started_again_as_it_was(new_house: NewHouse) -> None:
    house = new_house(RUNBOARD_DRAIN_SECONDS="0.5")
    assert re.search(rf"^READY {house.url}  user admin  password \S+$", house.log, re.MULTILINE)
    assert house.password == (house.home / "admin-password").read_text().strip()
    assert json.loads((house.home / "status.json").read_text())["url"] == house.url
    assert list(house.status()) == ["redis", "web", "worker", "scheduler"]
    assert {plan["task"] for plan in house.rows("plans/")} == DEMO
    assert "already running" in second_start_of(house)

    asks = house.submit("release-assistant")
    house.reaches(asks, "waiting")
    done = house.submit("log-fountain", {"lines": 3})
    house.reaches(done, "completed")
    told = {pk: house.execution(pk) for pk in (asks, done)}
    runs = house.submit("long-import", {"steps": 5, "seconds": 1})
    until(lambda: house.rows(f"executions/{runs}/steps/"), what="no step recorded")

    assert house.stop(by=signal.SIGINT) == 0
    until(lambda: not house.processes(), what="processes of the house are left")

    again = new_house(home=house.home)
    assert again.password == house.password
    assert {pk: again.execution(pk) for pk in (asks, done)} == told
    (question,) = again.rows(f"executions/{asks}/questions/")
    assert again.api("POST", f"questions/{question['id']}/answer/", {"value": "deploy"})[0] == 200
    assert again.reaches(asks, "completed")["output"]["decision"] == "deploy"
    went_on = again.reaches(runs, "completed")
    assert (went_on["attempt"], went_on["losses"]) == (2, 0), "it was given back, not lost"


def test_without_bubblewrap_the_start_says_so_and_scripts_are_rejected_with_the_same_words(
    new_house: NewHouse, tmp_path: Path
) -> None:
    house = new_house(PATH=str(tmp_path))
    script, action = house.submit("log-fountain"), house.submit("flaky-gateway", {"failures": 0})
    rejected = house.reaches(script, "rejected")
    assert rejected["error"]["message"] == NO_SANDBOX
    (said,) = [line for line in house.log.splitlines() if "bubblewrap" in line or "bwrap" in line]
    assert said.endswith(NO_SANDBOX)
    house.reaches(action, "completed")


def second_start_of(house: House) -> str:
    """What a second `up` in the same home says before it ends."""
    said = house.home.parent / "second.log"
    with said.open("wb") as log:
        second = spawn([sys.executable, ROOT / "manage.py", "up"], env=house.environment, stdout=log)
        assert second.wait(30) == 1
    return said.read_text()
