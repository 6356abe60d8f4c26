"""A row about faults, for programs and for people."""

import json

from workers.chaos.finding import Finding, table

HELD = Finding("F2", "sqlite", 174, 39, "0 lost", "174 ended", 60.0, 11, more={"states": {"completed": 174}})
BROKE = Finding("F8", "sqlite", 240, 12, "others unaffected", "3 others hurt", broke=["F8: one ended as failed"])


def test_a_line_names_its_seed_what_broke_and_whether_it_held() -> None:
    line = json.loads(HELD.as_json())
    assert (line["measure"], line["seed"], line["holds"], line["states"]) == ("F2", 11, True, {"completed": 174})
    assert json.loads(BROKE.as_json())["broke"] == ["F8: one ended as failed"]


def test_the_table_says_loudly_what_did_not_hold() -> None:
    held, broke = table([HELD, BROKE]).splitlines()[1:]
    assert ("yes" in held, "NO" in broke) == (True, True)
