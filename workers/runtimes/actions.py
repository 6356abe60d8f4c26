"""Registered actions: functions of the operator's own modules, marked `@runboard.task(name="…")`, called by that name.

No Django is needed here, and none of what authors post ever comes this way.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from tasks.sdk.testing import call_it_runboard


@dataclass(frozen=True, slots=True)
class Actions:
    """What is registered: functions by name, and why a module could not be read."""

    functions: dict[str, Callable[..., Any]]
    problems: tuple[str, ...]

    def why_not(self, name: str) -> str:
        """The sentence that says that nothing of this name is registered, and what may be the reason."""
        known = ", ".join(sorted(self.functions)) or "none"
        return " ".join([f"No registered action is called “{name}” (there is {known}).", *self.problems])


def registered(modules: Iterable[str]) -> Actions:
    """The actions in these modules, imported here. One module that cannot be imported leaves the others standing."""
    call_it_runboard()
    functions: dict[str, Callable[..., Any]] = {}
    problems = []
    for name in modules:
        try:
            functions |= _marked(importlib.import_module(name))
        except Exception as error:
            problems.append(f"The module {name} could not be imported: {type(error).__name__}: {error}.")
    return Actions(functions, tuple(problems))


def _marked(module: ModuleType) -> dict[str, Callable[..., Any]]:
    return {
        member.__runboard__.name: member
        for member in vars(module).values()
        if callable(member) and hasattr(member, "__runboard__") and member.__module__ == module.__name__
    }
