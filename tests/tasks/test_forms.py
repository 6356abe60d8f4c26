"""A form from a schema: which fields, what they hold, what is read from them, and where messages stand."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import forms
from tasks.schema import Invalid, Problem, problems


def schema(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def fields(form: forms.SchemaForm) -> dict[str, forms.Field]:
    return {field.name: field for field in form.fields}


def read(declared: dict[str, Any], **typed: str) -> Any:
    return forms.typed(declared, typed).read()


@pytest.mark.parametrize(
    ("about", "kind"),
    [
        ({"type": "string"}, "line"),
        ({"type": "string", "contentMediaType": "text/csv"}, "text"),
        ({"type": "string", "format": "textarea"}, "text"),
        ({"type": "string", "maxLength": 201}, "text"),
        ({"type": "string", "maxLength": 40}, "line"),
        ({"type": "string", "default": "two\nlines"}, "text"),
        ({"type": "number"}, "number"),
        ({"type": "integer"}, "integer"),
        ({"type": "boolean", "default": False}, "toggle"),
        ({"type": "boolean"}, "choice"),
        ({"enum": ["a", 1, None]}, "choice"),
        ({"const": "a"}, "choice"),
        ({"enum": ["1", 1]}, "json"),
        ({"type": "array"}, "json"),
        ({"type": "object"}, "json"),
        ({"type": ["string", "null"]}, "json"),
        ({"anyOf": [{"type": "string"}]}, "json"),
        ({}, "json"),
        (True, "json"),
    ],
)
def test_a_member_gets_the_field_a_browser_has_for_it(about: Any, kind: str) -> None:
    assert fields(forms.blank(schema(it=about)))["it"].kind == kind


def test_a_required_boolean_is_a_toggle_for_it_is_always_said() -> None:
    declared = schema("sure", sure={"type": "boolean"})
    assert fields(forms.blank(declared))["sure"].kind == "toggle"
    assert read(declared) == {"sure": False}
    assert read(declared, sure="true") == {"sure": True}


def test_titles_descriptions_bounds_and_required_marks_are_told() -> None:
    declared = schema(
        "n", n={"type": "number", "title": "How many", "description": "Of them.", "minimum": 0, "maximum": 1}
    )
    field = fields(forms.blank(declared))["n"]
    assert (field.label, field.hint, field.wants) == ("How many", "Of them.", "number, 0 to 1, required")
    assert fields(forms.blank(schema(dry_run={"type": "string"})))["dry_run"].label == "Dry run"


def test_it_starts_with_defaults_and_a_draft_goes_before_them() -> None:
    declared = schema(
        a={"type": "string", "default": "x"},
        b={"type": "integer", "default": 0},
        c={"type": "boolean", "default": True},
    )
    assert [field.text for field in forms.blank(declared).fields] == ["x", "0", "true"]
    drafted = forms.blank(declared, value={"a": "y", "b": 7, "c": False})
    assert [field.text for field in drafted.fields] == ["y", "7", "false"]


def test_an_optional_field_left_empty_is_left_out_and_a_deliberate_nothing_is_kept() -> None:
    declared = schema(
        text={"type": "string"}, n={"type": "integer"}, on={"type": "boolean"}, one={"enum": [False, 0]}, raw={}
    )
    assert read(declared, text="", n=" ", on="", one="", raw="") == {}
    assert read(declared, text=" ", n="0", on="false", one="0", raw="null") == {
        "text": " ", "n": 0, "on": False, "one": 0, "raw": None,
    }  # fmt: skip


def test_a_choice_keeps_the_kind_of_its_value() -> None:
    declared = schema(it={"enum": ["1", 2, True, None, {"a": 1}]})
    assert read(declared, it="1") == {"it": "1"}
    assert read(declared, it="2") == {"it": 2}
    assert read(declared, it="true") == {"it": True}
    assert read(declared, it="null") == {"it": None}
    assert read(declared, it='{"a": 1}') == {"it": {"a": 1}}
    assert problems(declared, read(declared, it="something else"))


def test_new_lines_that_a_browser_sends_are_those_that_were_typed() -> None:
    assert read(schema(csv={"type": "string", "format": "textarea"}), csv="a,b\r\n1,2\r\n") == {"csv": "a,b\n1,2\n"}


@pytest.mark.parametrize(
    ("about", "typed", "message"),
    [
        ({"type": "integer"}, "1.5", "must be a whole number; this is “1.5”"),
        ({"type": "integer"}, "many", "must be a whole number; this is “many”"),
        ({"type": "number"}, "1,5", "must be a number; this is “1,5”"),
        ({"type": "number"}, "nan", "must be a number; this is “nan”"),
        ({"type": "number"}, "1e999", "must be a number; this is “1e999”"),
        ({"type": "array"}, "[1,", "must be JSON: expecting value (line 1, column 4)"),
        ({"type": "array"}, "[NaN]", "must be JSON, which has no NaN"),
        ({"type": "array"}, "[" * 100_000, "is nested too deeply"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(about: Any, typed: str, message: str) -> None:
    with pytest.raises(Invalid) as refused:
        read(schema(it=about), it=typed)
    assert refused.value.problems == [Problem("/it", message)]


def test_whole_numbers_stay_whole() -> None:
    declared = schema(n={"type": "integer"}, x={"type": "number"})
    assert repr(read(declared, n="4.0", x="2")) == "{'n': 4, 'x': 2}"


def test_a_value_without_known_members_is_typed_as_json() -> None:
    for declared in ({}, {"type": "array"}, {"type": "object"}, schema(**{"": {"type": "string"}})):
        form = forms.blank(declared)
        assert [field.kind for field in form.fields] == ["json"]
        assert forms.typed(declared, {"json": ""}).read() == {}
        assert forms.typed(declared, {"json": "[1]"}).read() == [1]
    assert forms.blank({"type": "array"}, value=[1]).fields[0].text == "[\n  1\n]"


def test_members_of_a_draft_that_the_schema_does_not_name_are_not_lost() -> None:
    declared = schema(a={"type": "string"})
    form = forms.blank(declared, value={"a": "x", "extra": [1]})
    assert [field.name for field in form.fields] == ["a", forms.OTHERS]
    typed = {field.html_name: field.text for field in form.fields}
    assert forms.typed(declared, typed).read() == {"a": "x", "extra": [1]}


def test_messages_stand_beside_their_field_and_the_rest_above() -> None:
    declared = schema("csv", csv={"type": "string"}, rows={"type": "array"})
    found = [
        Problem("/input/csv", "is required"),
        Problem("/input/rows/3", "must be a text"),
        Problem("/input", "has too many members"),
        Problem("/input/a~1b", "is not a known member"),
    ]
    form = forms.typed(declared, {}).blamed(found, root="/input")
    assert fields(form)["csv"].problems == ("Is required.",)
    assert fields(form)["rows"].problems == ("/3 must be a text.",)
    assert form.problems == ("Has too many members.", "/a~1b is not a known member.")
    assert form.wrong_fields == 2
    assert fields(form)["csv"].described_by.endswith("-e")


def test_a_member_may_have_the_name_of_what_a_page_sends_too() -> None:
    declared = schema(csrfmiddlewaretoken={"type": "string"}, **{"a b/c~": {"type": "string"}})
    names = [field.html_name for field in forms.blank(declared).fields]
    assert names == ["input.csrfmiddlewaretoken", "a b/c~"]
    assert forms.typed(declared, dict.fromkeys(names, "x")).read() == {"csrfmiddlewaretoken": "x", "a b/c~": "x"}


SIMPLE = schema(
    line={"type": "string"},
    text={"type": "string", "format": "textarea"},
    number={"type": "number"},
    whole={"type": "integer"},
    on={"type": "boolean", "default": False},
    one={"enum": ["a", 1, False]},
    raw={"type": "array"},
)
LETTERS = st.characters(codec="utf-8", exclude_characters="\r\0")
VALUES = st.fixed_dictionaries(
    {"on": st.booleans()},
    optional={
        "line": st.text(LETTERS, min_size=1),
        "text": st.text(LETTERS, min_size=1),
        "number": st.floats(allow_nan=False, allow_infinity=False),
        "whole": st.integers(-(10**30), 10**30),
        "one": st.sampled_from(["a", 1, False]),
        "raw": st.lists(st.integers() | st.text(LETTERS) | st.none()),
    },
)


@given(VALUES)
def test_what_a_form_shows_is_what_it_sends_back(value: dict[str, Any]) -> None:
    form = forms.blank(SIMPLE, value=value)
    sent = {f.html_name: f.text for f in form.fields if f.kind != "toggle" or f.is_on}
    assert forms.typed(SIMPLE, sent).read() == value


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_no_schema_and_no_draft_breaks_a_form(anything: Any) -> None:
    for declared in ({"properties": anything}, schema(it=anything), {"properties": {"it": {"enum": anything}}}):
        form = forms.blank(declared, value=anything)
        with suppress(Invalid):
            forms.typed(declared, {field.html_name: field.text for field in form.fields}).read()
