"""Does this value fit the declared schema?"""

import socket
import threading

import pytest

from tasks.schema import Problem, pointer, problems, schema_problem

SCHEMA = {
    "type": "object",
    "properties": {"a/b": {"type": "integer"}, "name": {"type": "string", "minLength": 2}},
    "required": ["name"],
    "additionalProperties": False,
}


def test_no_schema_fits_everything() -> None:
    assert problems({}, {"anything": [1, None]}) == []


def test_every_problem_has_its_own_pointer() -> None:
    found = problems(SCHEMA, {"a/b": "x", "extra": 1})
    assert {problem.pointer for problem in found} == {"/a~1b", "/extra", "/name"}
    assert Problem("/name", "is required") in found


def test_pointers_are_escaped() -> None:
    assert pointer(["a/b", "c~d", 3]) == "/a~1b/c~0d/3"


@pytest.mark.parametrize("schema", [[], "x", {"type": "strange"}, {"pattern": "("}, {"$ref": "#/nowhere"}])
def test_what_is_no_schema(schema: object) -> None:
    assert schema_problem(schema)


def test_nothing_is_fetched() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        asked = []
        server.settimeout(0.5)

        def listen() -> None:
            try:
                server.accept()
                asked.append(True)
            except TimeoutError:
                pass

        listener = threading.Thread(target=listen)
        listener.start()
        assert schema_problem({"$ref": f"http://127.0.0.1:{server.getsockname()[1]}/s.json"})
        assert schema_problem({"$ref": "file:///etc/passwd"})
        listener.join()
    assert asked == []


def test_a_hostile_pattern_is_quick() -> None:
    assert problems({"type": "string", "pattern": "^(a+)+$"}, "a" * 40 + "!")


def test_a_schema_that_is_none_lets_nothing_through_and_raises_nothing() -> None:
    assert "cannot be checked" in problems({"type": "nonsense"}, {})[0].message
