import logging
import sys

from config.logs import Line


def line(message: str, *arguments: object, error: bool = False, **facts: object) -> str:
    record = logging.makeLogRecord({"levelname": "INFO", "msg": message, "args": arguments, **facts})
    record.exc_info = sys.exc_info() if error else None
    return Line().format(record)


def test_a_record_is_one_line_with_its_facts() -> None:
    said = line("claimed %s", "E-1", queue="default", slot=2)
    assert said[8:] == " [INFO] claimed E-1 queue=default slot=2"


def test_a_text_that_holds_lines_cannot_forge_another_record() -> None:
    said = line("name is %s", "x\n10:00:00 [INFO] all is well", who="a\nb")
    assert "\n" not in said


def test_an_error_keeps_its_trace_below_its_line() -> None:
    try:
        raise ValueError("no such queue")
    except ValueError:
        said = line("could not", error=True)
    assert said.splitlines()[0].endswith("could not")
    assert said.endswith("ValueError: no such queue")
