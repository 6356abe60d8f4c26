"""What the frame of every page shows: the doors of the rail, how many questions are open, a fresh key for a launch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any
from uuid import uuid4

from django.http import HttpRequest

from executions import queries


@dataclass(frozen=True, slots=True)
class Door:
    """One entry of the rail; `in_tabbar` where it stands under the thumb on a phone, as `short`."""

    name: str
    href: str
    icon: str
    short: str = ""
    in_tabbar: bool = False
    staff: bool = False
    here: bool = False


DOORS = (
    Door("Board", "/", "square-kanban", short="Board", in_tabbar=True),
    Door("Executions", "/executions/", "list-tree", short="Runs", in_tabbar=True),
    Door("Questions", "/questions/", "message-circle-question-mark", short="Questions", in_tabbar=True),
    Door("Tasks", "/tasks/", "library", short="Tasks", in_tabbar=True),
    Door("Schedules", "/schedules/", "calendar-clock"),
    Door("Workers", "/workers/", "server"),
    Door("API", "/api/docs/", "terminal"),
    Door("Admin", "/admin/", "shield", staff=True),
)


def page(request: HttpRequest) -> dict[str, Callable[[], Any]]:
    """Context of every template, asked for only where a template names it, and then once."""
    return {
        "rail": cache(partial(_rail, request)),
        "questions_open": cache(queries.open_question_count),
        "launch_key": cache(lambda: uuid4().hex),
    }


def _rail(request: HttpRequest) -> list[Door]:
    is_staff = getattr(request.user, "is_staff", False)
    return [replace(door, here=_is_here(door, request.path)) for door in DOORS if is_staff or not door.staff]


def _is_here(door: Door, path: str) -> bool:
    return path == door.href if door.href == "/" else path.startswith(door.href)
