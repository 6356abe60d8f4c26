"""A form from a JSON Schema, and the value that somebody typed into it.

A member of the schema becomes a field where a browser has one for it: a line, a long text, a number, a whole number,
yes or no, a choice. Everything else is typed as JSON, so nothing that a task accepts is out of reach. The form reads;
whether the value fits is the schema's word alone, and its messages are shown beside the field they are about.

An optional field left empty is left out of the value; a 0 or a “no” that was given is kept.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from tasks.schema import Invalid, Problem, pointer
from tasks.sdk.canonical import Unfit, encode

LONG = 200  # a text that may be longer than this gets an area, not a line
OTHERS = "+"  # the field for members that the schema does not name
KINDS = {"string": "line", "number": "number", "integer": "integer"}
WORDS = {
    "line": "text",
    "text": "text",
    "number": "number",
    "integer": "whole number",
    "toggle": "yes or no",
    "choice": "choice",
    "json": "JSON",
}
INPUT_TYPES = {"date": "date", "email": "email", "uri": "url"}
TAKEN = frozenset({"csrfmiddlewaretoken"})  # what else a page's form sends
LEFT_OUT = object()


@dataclass(frozen=True, slots=True)
class Option:
    """One value that can be chosen: `key` is what the browser sends for it."""

    key: str
    label: str
    value: Any

    @classmethod
    def of(cls, value: Any, label: str = "") -> Self:
        return cls(key_of(value), label or key_of(value), value)


@dataclass(frozen=True, slots=True)
class Field:
    """One member as a person is asked for it. `text` is what stands in the field, `problems` what is wrong with it."""

    name: str
    html_name: str
    id: str
    kind: str
    label: str
    hint: str = ""
    wants: str = ""
    required: bool = False
    input_type: str = "text"
    options: tuple[Option, ...] = ()
    text: str = ""
    problems: tuple[str, ...] = ()

    @property
    def is_on(self) -> bool:
        return self.text == "true"

    @property
    def described_by(self) -> str:
        """The ids of what is said about the field: what is wrong with it, then what it is for."""
        return " ".join(f"{self.id}-{part}" for part, said in (("e", self.problems), ("h", self.hint)) if said)

    @property
    def rows(self) -> int:
        """How tall an area is: as tall as what stands in it, within reason."""
        return min(max(self.text.count("\n") + 1, 3 if self.kind == "json" else 6), 16)

    def holding(self, value: Any) -> Field:
        """The same field with a JSON value written into it."""
        if self.kind in ("line", "text") and isinstance(value, str):
            return replace(self, text=value)
        if self.kind == "choice":
            return replace(self, text=key_of(value))
        return replace(self, text=json.dumps(value, ensure_ascii=False, indent=2 if self.kind == "json" else None))

    def read(self) -> Any:
        """The JSON value that stands in the field, or LEFT_OUT; raises ValueError with what it must be."""
        if self.kind == "toggle":
            return self.is_on
        if not self.text.strip() and (self.kind not in ("line", "text") or not self.text):
            return LEFT_OUT
        match self.kind:
            case "choice":
                return next((option.value for option in self.options if option.key == self.text), self.text)
            case "number" | "integer":
                return _number(self.text.strip(), whole=self.kind == "integer")
            case "json":
                return _parsed(self.text)
        return self.text


@dataclass(frozen=True, slots=True)
class SchemaForm:
    """The fields of one value. `problems` is what is wrong and belongs to no single field."""

    fields: tuple[Field, ...]
    problems: tuple[str, ...] = ()

    @property
    def wrong_fields(self) -> int:
        """How many fields need somebody."""
        return sum(1 for field in self.fields if field.problems)

    def read(self) -> Any:
        """The value as it was typed. Raises Invalid where a field cannot be read at all."""
        return told_as_json(self._read())

    def _read(self) -> Any:
        value: dict[str, Any] = {}
        wrong = []
        for field in self.fields:
            try:
                given = field.read()
            except ValueError as error:
                wrong.append(Problem(pointer([field.name]) if field.name else "", str(error)))
                continue
            if field.name == "" and not wrong:
                return {} if given is LEFT_OUT else given
            if field.name == OTHERS:
                value |= given if isinstance(given, dict) else {}
            elif given is not LEFT_OUT:
                value[field.name] = given
        if wrong:
            raise Invalid("Some fields cannot be read.", wrong)
        return value

    def blamed(self, problems: Iterable[Problem], *, root: str = "") -> SchemaForm:
        """The same form with each problem beside its field; `root` is the pointer of the form's value."""
        beside: dict[str, list[str]] = {}
        rest = []
        names = {field.name for field in self.fields}
        for problem in problems:
            name, inner = _split(problem.pointer.removeprefix(root))
            if name in names or "" in names:
                at = inner if name in names else problem.pointer.removeprefix(root)
                beside.setdefault(name if name in names else "", []).append(_said(at, problem.message))
            else:
                rest.append(_said(problem.pointer.removeprefix(root), problem.message))
        fields = (replace(field, problems=tuple(beside.get(field.name, ()))) for field in self.fields)
        return SchemaForm(tuple(fields), tuple(rest))


def blank(schema: Mapping[str, Any], *, prefix: str = "", value: Any = None) -> SchemaForm:
    """The form of a schema, holding `value`'s members where it has them and the schema's defaults elsewhere."""
    fields = list(_fields(schema, prefix))
    if len(fields) == 1 and not fields[0].name:
        started = schema.get("default") if value is None else value
        return SchemaForm((fields[0] if started is None else fields[0].holding(started),))
    given = value if isinstance(value, Mapping) else {}
    properties = schema["properties"]
    held = [_started(field, given, _object(properties[field.name])) for field in fields]
    others = {name: part for name, part in given.items() if name not in properties}
    return SchemaForm((*held, _others(prefix).holding(others)) if others else tuple(held))


def typed(schema: Mapping[str, Any], data: Mapping[str, str], *, prefix: str = "") -> SchemaForm:
    """The form of a schema as a browser sent it back."""
    fields = [*_fields(schema, prefix)]
    if prefix + OTHERS in data:
        fields.append(_others(prefix))
    return SchemaForm(tuple(replace(field, text=_sent(field, data)) for field in fields))


def told_as_json(value: Any) -> Any:
    """The same value, once it can be kept as JSON; raises Invalid with the place of a NUL and the like."""
    try:
        encode(value)
    except Unfit as unfit:
        raise Invalid("This cannot be told as JSON.", [Problem(unfit.pointer, unfit.message)]) from unfit
    return value


def key_of(value: Any) -> str:
    """What a browser sends for a value that can be chosen."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _fields(schema: Mapping[str, Any], prefix: str) -> Iterator[Field]:
    properties = schema.get("properties")
    if not isinstance(properties, dict) or not properties or {"", OTHERS} & properties.keys():
        yield _whole(schema, prefix)
        return
    required = schema.get("required", [])
    for index, (name, about) in enumerate(properties.items()):
        yield _field(name, _object(about), index=index, prefix=prefix, required=name in required)


def _field(name: str, about: Mapping[str, Any], *, index: int, prefix: str, required: bool) -> Field:
    kind, options = _kind(about, required=required)
    taken = not prefix and name in TAKEN
    return Field(
        name=name,
        html_name=f"input.{name}" if taken else prefix + name,
        id=f"{_id(prefix)}-{index}",
        kind=kind,
        label=str(about.get("title") or _spoken(name)),
        hint=str(about.get("description") or ""),
        wants=", ".join([_wanted(kind, about), *(["required"] if required else [])]),
        required=required,
        input_type=INPUT_TYPES.get(str(about.get("format")), "text"),
        options=options,
    )


def _whole(schema: Mapping[str, Any], prefix: str) -> Field:
    """The field for a value that is not an object of known members."""
    return Field(
        name="",
        html_name=f"{prefix}json",
        id=f"{_id(prefix)}-json",
        kind="json",
        label=str(schema.get("title") or "Input"),
        hint=str(schema.get("description") or "Any JSON; left empty it is {}."),
        wants="JSON",
    )


def _others(prefix: str) -> Field:
    return Field(
        name=OTHERS,
        html_name=prefix + OTHERS,
        id=f"{_id(prefix)}-others",
        kind="json",
        label="Other members",
        hint="Members of the input that the task's schema does not name.",
        wants="JSON object",
    )


def _kind(about: Mapping[str, Any], *, required: bool) -> tuple[str, tuple[Option, ...]]:
    """How a member is asked for, and what can be chosen."""
    known = about.get("enum", [about["const"]] if "const" in about else None)
    if isinstance(known, list) and known and len({key_of(value) for value in known}) == len(known):
        return "choice", tuple(Option.of(value) for value in known)
    if about.get("type") == "boolean":
        unsaid = not required and not isinstance(about.get("default"), bool)
        return ("choice", (Option.of(True, "yes"), Option.of(False, "no"))) if unsaid else ("toggle", ())
    if about.get("type") == "string" and _is_long(about):
        return "text", ()
    named = about.get("type")
    return KINDS.get(named, "json") if isinstance(named, str) else "json", ()


def _is_long(about: Mapping[str, Any]) -> bool:
    most = about.get("maxLength")
    return (
        about.get("format") == "textarea"
        or str(about.get("contentMediaType", "")).startswith("text/")
        or (isinstance(most, int) and most > LONG)
        or "\n" in str(about.get("default", ""))
    )


def _wanted(kind: str, about: Mapping[str, Any]) -> str:
    """The kind of value in words, with its bounds."""
    word = "yes or no" if about.get("type") == "boolean" else WORDS[kind]
    if kind == "json" and isinstance(about.get("type"), str):
        word = f"JSON {about['type']}"
    low, high = about.get("minimum"), about.get("maximum")
    bounds = {
        (True, True): f"{low} to {high}",
        (True, False): f"at least {low}",
        (False, True): f"at most {high}",
    }
    bound = bounds.get((low is not None, high is not None)) if kind in ("number", "integer") else None
    return f"{word}, {bound}" if bound else word


def _started(field: Field, given: Mapping[str, Any], about: Mapping[str, Any]) -> Field:
    if field.name in given:
        return field.holding(given[field.name])
    return field.holding(about["default"]) if "default" in about else field


def _sent(field: Field, data: Mapping[str, str]) -> str:
    """A browser sends nothing for a box that is not ticked, and CRLF for every new line that was typed."""
    if field.kind == "toggle":
        return "true" if field.html_name in data else "false"
    return data.get(field.html_name, "").replace("\r\n", "\n")


def _number(text: str, *, whole: bool) -> int | float:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or (whole and value != int(value)):
        raise ValueError(f"must be a {'whole ' if whole else ''}number; this is “{text[:50]}”") from None
    return int(value) if whole else value


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"must be JSON: {error.msg.lower()} ({where})") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"must be JSON, which has no {name}")


def _split(at: str) -> tuple[str, str]:
    """A pointer's first part, unescaped, and the rest of it."""
    first, slash, rest = at.removeprefix("/").partition("/")
    return first.replace("~1", "/").replace("~0", "~"), slash + rest


def _said(at: str, message: str) -> str:
    """A problem as a sentence; `at` says where inside the field, if not the field itself."""
    told = f"{at} {message}" if at not in ("", "/") else message[:1].upper() + message[1:]
    return told if told.endswith((".", "!", "?")) else told + "."


def _object(about: Any) -> Mapping[str, Any]:
    return about if isinstance(about, Mapping) else {}


def _spoken(name: str) -> str:
    spoken = name.replace("_", " ").replace("-", " ").strip() or name
    return spoken[:1].upper() + spoken[1:]


def _id(prefix: str) -> str:
    return "f-" + "".join(letter if letter.isalnum() else "-" for letter in prefix).strip("-") if prefix else "f"
