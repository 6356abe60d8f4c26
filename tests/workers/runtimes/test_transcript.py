"""Bytes become lines, lines become batches, and nothing grows without end."""

from hypothesis import given
from hypothesis import strategies as st

from workers.runtimes.transcript import BATCH, CUT, LONGEST_LINE, PERIOD, Splitter, Transcript


@given(st.lists(st.binary(max_size=50)))
def test_however_it_is_cut_the_same_lines_come_out(pieces: list[bytes]) -> None:
    apart, whole = Splitter(), Splitter()
    lines = [line for piece in pieces for line in apart.feed(piece)] + apart.finish()
    assert lines == whole.feed(b"".join(pieces)) + whole.finish()


def test_line_ends_of_other_systems_and_missing_ones_are_fine() -> None:
    splitter = Splitter()
    assert splitter.feed(b"a\r\nb\n\nc") == ["a", "b", ""]
    assert splitter.finish() == ["c"]
    assert splitter.finish() == []


def test_a_long_line_is_cut_once_and_the_rest_of_it_dropped() -> None:
    splitter = Splitter()
    cut = "x" * LONGEST_LINE + CUT
    assert splitter.feed(b"x" * (LONGEST_LINE + 1)) == [cut]
    assert splitter.feed(b"x" * 10**6) == []
    assert splitter.feed(b"x\nnext\n") == ["next"]
    assert splitter.feed(b"x" * 10**6 + b"\nnext\n") == [cut, "next"]
    assert splitter.feed(b"x" * 10**6) + splitter.finish() == [cut]


def test_the_first_line_is_due_at_once_and_the_next_a_quarter_second_later() -> None:
    transcript = Transcript()
    assert transcript.due(0.0) is None
    transcript.add(["a"], at=1.0, stream="stdout", level="info")
    assert transcript.due(100.0) == 0.0
    assert transcript.give(100.0) is not None
    transcript.add(["b"], at=1.1, stream="stdout", level="info")
    assert transcript.due(100.1) == PERIOD - (100.1 - 100.0)
    assert transcript.due(100.5) == 0.0


def test_a_batch_has_at_most_two_thousand_lines() -> None:
    transcript = Transcript()
    transcript.add(["x"] * 4500, at=1.0, stream="stdout", level="info")
    sizes = []
    while (batch := transcript.give(0.0)) is not None:
        sizes.append(len(batch.lines))
    assert sizes == [BATCH, BATCH, 500]


def test_a_full_log_keeps_head_and_tail_and_counts_what_is_missing() -> None:
    transcript = Transcript(most=100_000, tail=10_000)
    transcript.add([f"{n:060}" for n in range(5000)], at=1.0, stream="stdout", level="info")
    transcript.finish()
    lines = []
    while (batch := transcript.give(0.0)) is not None:
        lines += [line.text for line in batch.lines]
    head = lines.index("The log is full: from here on only its last 1 MB is kept, and shown when the attempt ends.")
    tail = lines[head + 2 :]
    assert head == 900
    assert lines[:head] == [f"{n:060}" for n in range(900)]
    assert tail == [f"{n:060}" for n in range(4900, 5000)]
    assert lines[head + 1].startswith("4,000 lines dropped here")


def test_a_log_that_is_just_full_drops_nothing() -> None:
    transcript = Transcript(most=100_000, tail=10_000)
    transcript.add([f"{n:060}" for n in range(950)], at=1.0, stream="stdout", level="info")
    transcript.finish()
    batch = transcript.give(0.0)
    assert batch is not None
    assert len(batch.lines) == 951
