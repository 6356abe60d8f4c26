"""A question as a person is asked it, and the answer as a browser sends it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from executions.board.wording import actor, shown
from executions.durations import duration
from executions.models import Question
from tasks import forms
from tasks.schema import Invalid, Problem

UNCHOSEN = "choose one of the options"


@dataclass(frozen=True, slots=True)
class Choice:
    """An option: `consequence` says what follows from it."""

    key: str
    label: str
    consequence: str
    is_recommended: bool
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Tried:
    """An answer that was sent and not taken: what was typed, and why not."""

    question: Question
    data: Mapping[str, str]
    chosen: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with all that its panel shows. `then` says what happens at the deadline; `answer` what was said."""

    question: Question
    is_open: bool
    kind: str
    choices: tuple[Choice, ...] = ()
    form: forms.SchemaForm | None = None
    text: str = ""
    note: str = ""
    problems: tuple[str, ...] = ()
    refused: str = ""
    waited: str = ""
    seconds_left: int = 0
    seconds_all: int = 0
    then: str = ""
    answer: str = ""
    by: str = ""


def asked(question: Question, *, now: datetime, tried: Tried | None = None) -> Asked:
    """A question as it is drawn, with what somebody tried to answer."""
    data = tried.data if tried else {}
    form = _form(question, data) if question.kind in ("form", "edit") else None
    problems = tried.problems if tried else ()
    if form and problems:
        form, problems = form.blamed(problems, root="/value"), ()
    return Asked(
        question=question,
        is_open=question.state == Question.State.OPEN,
        kind=question.kind,
        choices=tuple(_choices(question, tried.chosen if tried else None)),
        form=form,
        text=data.get("value", _started(question)),
        note=data.get("note", ""),
        problems=tuple(f"{problem.message[:1].upper()}{problem.message[1:]}." for problem in problems),
        refused=tried.refused if tried else "",
        waited=duration((question.answered_at or now) - question.asked_at),
        seconds_left=_seconds(question.deadline, now),
        seconds_all=_seconds(question.deadline, question.asked_at),
        then=_then(question),
        answer=said(question),
        by=actor(question.answered_by),
    )


def value_of(question: Question, data: Mapping[str, str], chosen: Iterable[str]) -> Any:
    """The value that a browser's form answers with. Raises Invalid where nothing was said, or what cannot be kept."""
    try:
        return forms.told_as_json(_value(question, data, chosen))
    except Invalid as wrong:
        raise Invalid(wrong.message, [_beside(problem) for problem in wrong.problems]) from wrong


def said(question: Question) -> str:
    """An answer in words: an option by its label, approval by its name."""
    if question.answer is None:
        return ""
    value = json.loads(question.answer)
    if question.kind == "approve":
        return "Approved" if value is True else "Rejected"
    return _labelled(question, value)


def _value(question: Question, data: Mapping[str, str], chosen: Iterable[str]) -> Any:
    keys = {forms.key_of(option["value"]): option["value"] for option in question.options}
    match question.kind:
        case "approve":
            if data.get("value") not in ("true", "false"):
                raise Invalid("No answer was given.", [Problem("", "choose to approve or to reject")])
            return data["value"] == "true"
        case "choice":
            if data.get("value", "") == "":
                raise Invalid("No answer was given.", [Problem("", UNCHOSEN)])
            return keys.get(data["value"], data["value"])
        case "choices":
            return [keys.get(key, key) for key in chosen]
        case "form" | "edit":
            return forms.typed(question.schema or {}, data, prefix=_prefix(question)).read()
    return data.get("value", "").replace("\r\n", "\n")


def _labelled(question: Question, value: Any) -> str:
    labels = {forms.key_of(option["value"]): str(option.get("label", option["value"])) for option in question.options}
    if isinstance(value, list) and labels:
        return ", ".join(labels.get(forms.key_of(part), shown(part)) for part in value) or "none of them"
    return labels.get(forms.key_of(value), shown(value, most=500))


def _choices(question: Question, chosen: tuple[str, ...] | None) -> Iterable[Choice]:
    """Options; before anybody chose, what the author recommends is chosen."""
    advised = question.recommended if isinstance(question.recommended, list) else [question.recommended]
    wise = {forms.key_of(value) for value in advised if value is not None}
    marked = wise if chosen is None else set(chosen)
    for option in question.options:
        key = forms.key_of(option["value"])
        yield Choice(
            key=key,
            label=str(option.get("label", key)),
            consequence=str(option.get("consequence") or ""),
            is_recommended=key in wise,
            is_chosen=key in marked,
        )


def _form(question: Question, data: Mapping[str, str]) -> forms.SchemaForm:
    schema, prefix = question.schema or {}, _prefix(question)
    if data:
        return forms.typed(schema, data, prefix=prefix)
    return forms.blank(schema, prefix=prefix, value=question.recommended)


def _beside(problem: Problem) -> Problem:
    return Problem("/value" + problem.pointer, problem.message)


def _prefix(question: Question) -> str:
    return f"value-{question.pk.hex[-8:]}."


def _started(question: Question) -> str:
    return question.recommended if question.kind == "text" and isinstance(question.recommended, str) else ""


def _then(question: Question) -> str:
    """What happens when nobody answers by the deadline."""
    if question.default is None:
        return ""
    value = json.loads(question.default)
    if question.kind == "approve":
        return "Approve" if value is True else "Reject"
    return _labelled(question, value)


def _seconds(until: datetime | None, since: datetime) -> int:
    return max(int((until - since).total_seconds()), 0) if until else 0
