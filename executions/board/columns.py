"""The five columns, and what a card dragged from one to another means: data that views, pages and scripts read alike. Pure.

A card's place is decided by its execution's state alone (what is paused stays where it was); a plan stands in Planning, a task
in the library. Moving a card is calling a verb: MOVES says which, from where to where. What is not there is refused in words
(`refusal`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from executions.states import phase

LIBRARY = "library"  # not a column, but a place to drag from, and to put a plan back to


@dataclass(frozen=True, slots=True)
class Column:
    """One of the five. `empty` is what it says about itself while nothing stands in it: a title and a sentence."""

    name: str
    title: str
    empty: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Move:
    """The verb that a drop calls: `label` names it, `hint` says what will happen, `confirm` asks first where it is set."""

    verb: str
    label: str
    hint: str
    icon: str
    confirm: str = ""


COLUMNS = (
    Column("planning", "Planning", ("Nothing planned", "Drag a task here from the library: a plan starts nothing.")),
    Column("pending", "Pending", ("Waits to start", "Drop a plan here to run it. Each card says what it waits for.")),
    Column("running", "Running", ("Nothing at work", "Progress is live here. Drag a card to Planning to cancel it.")),
    Column("completed", "Completed", ("Nothing finished yet", "A card comes here by itself, with its output.")),
    Column("failed", "Failed", ("Nothing failed", "A failed card says what went wrong and what to do next.")),
)
TITLES = {column.name: column.title for column in COLUMNS} | {LIBRARY: "the library"}

RUN = Move("submit", "Run", "starts as soon as a worker is free", "play")
MOVES: dict[tuple[str, str], Move] = {
    (LIBRARY, "planning"): Move("plan", "Plan", "adds a plan, starts nothing", "plus"),
    (LIBRARY, "pending"): RUN,
    ("planning", "planning"): Move("place", "Order", "takes this place among the plans", "list"),
    ("planning", "pending"): RUN,
    ("planning", LIBRARY): Move("remove", "Remove", "takes the plan off the board; its task stays", "x"),
    ("running", "planning"): Move(
        "cancel", "Cancel", "stops it for good", "ban",
        confirm="What it has done so far stays done, and it cannot go on. Its task can be run again.",
    ),
}  # fmt: skip

NOT_YET = {
    ("pending", "planning"): "A launch cannot be taken back here yet. To stop it, open the card and press Cancel.",
    ("pending", "pending"): "Pending is in the order in which the cards will start; it cannot be changed by hand yet.",
}
ENDED = {"completed", "failed"}
RUN_AGAIN = "Run it again from its page or from the library."
BY_ITSELF = {
    "running": "Only a worker starts a run: it takes the cards from Pending.",
    "completed": "A card comes to Completed by itself, once its run has succeeded.",
    "failed": "A card comes to Failed by itself, if its run fails.",
}


def column_of_state(state: str, paused_from: str = "") -> str:
    """The column an execution in this state stands in; empty for a cancelled one, which stands in none."""
    name = phase(state, paused_from)
    return name if name in TITLES else ""


def refusal(source: str, target: str) -> str:
    """Why a card cannot go from `source` to `target`, and where it can go or what to do instead."""
    if source in ENDED:
        return f"It {f'is in {TITLES[source]} already' if source == target else 'has ended'}. {RUN_AGAIN}"
    why = NOT_YET.get((source, target)) or BY_ITSELF.get(target) or "It cannot go there."
    if source == target and (source, target) not in NOT_YET:
        why = f"It is in {TITLES[source]} already."
    can = [f"{TITLES[to]} ({move.label})" for (since, to), move in MOVES.items() if since == source and to != source]
    return f"{why} It can go to: {', '.join(can)}." if can else why


def for_script() -> dict[str, Any]:
    """The same tables for the page's script: `moves` and `refusals` by "from>to"."""
    places = [*(column.name for column in COLUMNS), LIBRARY]
    pairs = [(source, target) for source in places for target in places]
    return {
        "titles": TITLES,
        "moves": {
            f"{source}>{target}": asdict(MOVES[source, target]) for source, target in pairs if (source, target) in MOVES
        },
        "refusals": {
            f"{source}>{target}": refusal(source, target) for source, target in pairs if (source, target) not in MOVES
        },
    }
