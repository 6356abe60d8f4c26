"""Is this value an answer to this question? Pure, and asked by every door through which an answer comes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from executions.models import Question
from tasks.schema import Problem, problems

LONGEST_TEXT = 100_000


def wrong_with(question: Question, value: Any) -> list[Problem]:
    """What keeps `value` from answering `question`; an empty list means it is an answer."""
    return CHECKS[question.kind](question, value)


def option_values(question: Question) -> list[Any]:
    return [option["value"] for option in question.options]


def _approve(question: Question, value: Any) -> list[Problem]:
    return [] if isinstance(value, bool) else [Problem("/value", "must be true (approve) or false (reject)")]


def _choice(question: Question, value: Any) -> list[Problem]:
    if any(_same(value, known) for known in option_values(question)):
        return []
    return [Problem("/value", "must be one of " + ", ".join(map(str, option_values(question))))]


def _choices(question: Question, value: Any) -> list[Problem]:
    if not isinstance(value, list):
        return [Problem("/value", "must be a list of options")]
    wrong = [part for part in value if _choice(question, part)]
    return [Problem("/value", f"“{part}” is not one of the options") for part in wrong]


def _text(question: Question, value: Any) -> list[Problem]:
    if not isinstance(value, str) or not value.strip():
        return [Problem("/value", "must be a text")]
    return [] if len(value) <= LONGEST_TEXT else [Problem("/value", f"must have at most {LONGEST_TEXT} characters")]


def _form(question: Question, value: Any) -> list[Problem]:
    return [Problem("/value" + found.pointer, found.message) for found in problems(question.schema or {}, value)]


def _later(question: Question, value: Any) -> list[Problem]:
    return [Problem("/value", f"questions of kind {question.kind} cannot be answered in this version of Runboard")]


def _same(value: Any, known: Any) -> bool:
    """True and 1 are different answers."""
    return type(value) is type(known) and bool(value == known)


CHECKS: dict[str, Callable[[Question, Any], list[Problem]]] = {
    "approve": _approve,
    "choice": _choice,
    "choices": _choices,
    "text": _text,
    "form": _form,
    "edit": _form,
    "file": _later,
}
