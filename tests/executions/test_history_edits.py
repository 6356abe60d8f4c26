"""The measure: of 1,000 random edits of a database, made past its triggers, every one is found."""

from __future__ import annotations

import random
import string
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from django.db import DatabaseError, connection, models, transaction
from django.db.models import F
from django.utils import timezone

from executions.history import pruning
from executions.history.verifying import Verification
from executions.models import Anchor, Event, Execution, Tombstone
from executions.states import FINAL, State
from tasks import append_only
from tests.executions import histories

pytestmark = pytest.mark.django_db

EDITS = {"sqlite": 1_000, "postgresql": 300}  # each with a whole verification after it
Row = TypeVar("Row", bound=models.Model)
Edit = Callable[[random.Random], Any]

FACTS = ["attempt", "retries", "losses", "environment_failures", "created_at", "started_at", "finished_at", "number", "run",
         "input", "output", "error", "state", "waiting_for", "pausing", "paused_from", "last_seq", "task_version", "rerun_of",
         "parent"]  # fmt: skip


class NoEdit(Exception):
    """This time there was nothing to change, or what was drawn is what was there."""


def some(rows: models.QuerySet[Row], dice: random.Random) -> Row:
    keys = list(rows.order_by("pk").values_list("pk", flat=True))
    if not keys:
        raise NoEdit
    return rows.get(pk=dice.choice(keys))


def other(value: Any, dice: random.Random) -> Any:
    """Another value of the same kind."""
    if value is None:
        return dice.choice(["{}", "null", "[1]"])
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return max(value + dice.choice([-1, 1, 7]), 0)
    if hasattr(value, "isoformat"):
        return value + dice.choice([-1, 1]) * timedelta(microseconds=dice.choice([1, 1000, 10**9]))
    return other_text(str(value), dice)


def other_text(text: str, dice: random.Random) -> str:
    at, letter = dice.randrange(len(text) + 1), dice.choice(string.ascii_letters + " é")
    return dice.choice(
        [text[:at] + letter + text[at:], text[:at] + letter + text[at + 1 :], text[:at] + text[at + 1 :], ""]
    )


def change(row: models.Model, name: str, value: Any) -> None:
    if value == getattr(row, name):
        raise NoEdit
    type(row)._default_manager.filter(pk=row.pk).update(**{name: value})


def edit_an_event(dice: random.Random) -> None:
    event = some(Event.objects.all(), dice)
    name = dice.choice(["seq", "kind", "at", "standing", "actor", "reason", "data", "hash"])
    change(event, name, other(getattr(event, name), dice))


def give_an_event_to_another(dice: random.Random) -> None:
    event, execution = some(Event.objects.all(), dice), some(Execution.objects.all(), dice)
    change(event, "execution_id", execution.pk)


def take_the_seal_of_another(dice: random.Random) -> None:
    event, model = some(Event.objects.all(), dice), some(Event.objects.all(), dice)
    change(event, "hash", model.hash)


def blank_all_seals(dice: random.Random) -> None:
    Event.objects.filter(execution=some(Execution.objects.all(), dice)).update(hash="")


def delete_an_event(dice: random.Random) -> None:
    some(Event.objects.all(), dice).delete()


def delete_the_last_events(dice: random.Random) -> None:
    execution = some(Execution.objects.all(), dice)
    Event.objects.filter(execution=execution, seq__gt=dice.randrange(execution.last_seq)).delete()


def cut_short(dice: random.Random) -> None:
    """The last events go, and the row is made to fit what is left."""
    execution = some(Execution.objects.filter(last_seq__gt=1), dice)
    last = dice.randrange(1, execution.last_seq)
    Event.objects.filter(execution=execution, seq__gt=last).delete()
    Execution.objects.filter(pk=execution.pk).update(
        last_seq=last, state=State.PENDING, attempt=0, retries=0, losses=0, environment_failures=0, started_at=None,
        finished_at=None, output=None, error=None, lease_until=None, waiting_for="", paused_from="", pausing=False,
    )  # fmt: skip


def swap_two(dice: random.Random) -> None:
    one = some(Event.objects.all(), dice)
    two = some(Event.objects.filter(execution=one.execution_id).exclude(pk=one.pk), dice)
    Event.objects.filter(pk=one.pk).update(seq=1_000_000)
    Event.objects.filter(pk=two.pk).update(seq=one.seq)
    Event.objects.filter(pk=one.pk).update(seq=two.seq)


def swap_what_two_tell(dice: random.Random) -> None:
    one, two = some(Event.objects.all(), dice), some(Event.objects.all(), dice)
    name = dice.choice(["kind", "at", "actor", "reason", "data"])
    first = getattr(one, name)
    change(one, name, getattr(two, name))
    change(two, name, first)


def forge_one_at_the_end(dice: random.Random) -> None:
    model = some(Event.objects.all(), dice)
    last = Event.objects.filter(execution=model.execution_id).order_by("-seq")[0]
    Event.objects.create(execution=model.execution, seq=last.seq + 1, kind="noted", at=model.at, standing=last.standing,
                         actor=model.actor, data="{}", hash=dice.choice(["", last.hash, model.hash]))  # fmt: skip
    if dice.random() < 0.5:
        Execution.objects.filter(pk=model.execution_id).update(last_seq=F("last_seq") + 1)


def forge_one_between(dice: random.Random) -> None:
    model = some(Event.objects.all(), dice)
    for later in Event.objects.filter(execution=model.execution_id, seq__gt=model.seq).order_by("-seq"):
        Event.objects.filter(pk=later.pk).update(seq=later.seq + 1)
    Event.objects.create(execution=model.execution, seq=model.seq + 1, kind="noted", at=model.at, standing=model.standing,
                         actor="user:eve", data="{}", hash=model.hash)  # fmt: skip
    Execution.objects.filter(pk=model.execution_id).update(last_seq=F("last_seq") + 1)


def edit_a_row(dice: random.Random) -> None:
    execution, name = some(Execution.objects.all(), dice), dice.choice(FACTS)
    if name == "state":
        final = execution.state in FINAL
        return change(execution, name, dice.choice([state for state in State if (state in FINAL) == final]))
    if name in ("rerun_of", "parent", "task_version"):
        model = some(Execution.objects.exclude(pk=execution.pk), dice)
        return change(execution, f"{name}_id", model.task_version_id if name == "task_version" else model.pk)
    value = getattr(execution, name)
    return change(execution, name, timezone.now() if value is None and name.endswith("_at") else other(value, dice))


def replace_an_output(dice: random.Random) -> None:
    execution = some(Execution.objects.exclude(output=None), dice)
    change(execution, "output", dice.choice([None, "{}", '{"done": true}', str(execution.output) + " "]))


def remove_a_whole_execution(dice: random.Random) -> None:
    execution = some(Execution.objects.filter(children=None, reruns=None), dice)
    for part in pruning.PARTS:
        part._default_manager.filter(execution=execution).delete()
    execution.delete()


def edit_an_anchor(dice: random.Random) -> None:
    anchor = some(Anchor.objects.all(), dice)
    name = dice.choice(["since", "until", "entries", "previous", "signature"])
    value = getattr(anchor, name)
    change(anchor, name, timezone.now() if value is None else other(value, dice))


def remove_an_anchor(dice: random.Random) -> None:
    Anchor.objects.earliest("id").delete()


def edit_a_tombstone(dice: random.Random) -> None:
    stone = some(Tombstone.objects.all(), dice)
    name = dice.choice(["number", "task", "run", "state", "created_at", "finished_at", "last_seq", "head", "why",
                        "pruned_at", "signature", "lineage", "parent"])  # fmt: skip
    value = stone.pk if name in ("lineage", "parent") else other(getattr(stone, name), dice)
    change(stone, name, value)


def remove_a_tombstone(dice: random.Random) -> None:
    some(Tombstone.objects.all(), dice).delete()


ALL: list[tuple[Edit, int]] = [
    (edit_an_event, 8), (edit_a_row, 8), (give_an_event_to_another, 2), (take_the_seal_of_another, 2), (blank_all_seals, 1),
    (delete_an_event, 3), (delete_the_last_events, 3), (cut_short, 3), (swap_two, 3), (swap_what_two_tell, 3),
    (forge_one_at_the_end, 3), (forge_one_between, 2), (replace_an_output, 3), (remove_a_whole_execution, 2),
    (edit_an_anchor, 2), (remove_an_anchor, 1), (edit_a_tombstone, 2), (remove_a_tombstone, 1),
]  # fmt: skip


@pytest.mark.timeout(180)
def test_of_a_thousand_random_edits_every_one_is_found() -> None:
    prepare()
    seed = random.SystemRandom().randrange(10**9)
    dice, done, missed = random.Random(seed), Counter[str](), []
    edits, weights = zip(*ALL, strict=True)
    with append_only.lifted():
        while done.total() < EDITS[connection.vendor]:
            edit = dice.choices(edits, weights)[0]
            before = dice.getstate()
            if (found := edited(edit, dice)) is None:
                continue
            done[edit.__name__] += 1
            if not found:
                missed.append((edit.__name__, before))
    assert [name for name, _ in missed] == [], f"seed {seed}"
    assert set(done) == {edit.__name__ for edit in edits}


def prepare() -> None:
    """Forty executions, three of them pruned, all of it anchored."""
    rows = histories.varied()
    alone = [row for row in rows if row.state in FINAL and not tied(row)]
    for row in alone[:3]:
        assert pruning.prune(row.pk, why="a test", now=timezone.now())
    assert list(Verification().findings()) == []


def tied(row: Execution) -> bool:
    return bool(row.parent_id or row.rerun_of_id or row.children.exists() or row.reruns.exists())


def edited(edit: Edit, dice: random.Random) -> bool | None:
    """Whether an edit is found; None where it changed nothing, or the database refused it even so."""
    with transaction.atomic():
        try:
            with transaction.atomic():
                edit(dice)
                connection.check_constraints()
        except (NoEdit, DatabaseError):
            return None
        look = Verification()
        found = any(look.findings())
        transaction.set_rollback(True)
    return found
