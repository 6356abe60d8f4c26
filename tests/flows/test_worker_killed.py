"""A worker is killed in mid-run, and the same execution goes on with the steps it had recorded.

kill -9 leaves no last word: what carries the run over is its history alone. The worker's next life takes back what the last
one held, and a new attempt is handed the recorded results instead of running their code again.
"""

from executions.states import FINAL
from tests.services import House, until
from workers.runtimes import processes

STEPS = 10


def test_an_execution_goes_on_where_its_killed_worker_was(house: House) -> None:
    pk = house.submit("long-import", {"steps": STEPS, "seconds": 0.4})
    until(lambda: len(steps(house, pk)) >= 3, what="no three steps recorded")
    recorded = steps(house, pk)
    worker, *sandbox = processes.tree(house.pid("worker"))

    house.kill("worker")
    house.is_back("worker", since=worker)
    done = house.reaches(pk, "completed")

    assert done["output"] == {"imported": 100 * STEPS}
    assert (done["attempt"], done["retries"]) == (2, 0)  # a loss is nobody's error: it costs no retry
    assert_recorded_steps_ran_once(steps(house, pk), recorded)
    assert_attempts_are_told_apart(house.rows(f"executions/{pk}/attempts/"))
    assert_history_is_one_story(house.rows(f"executions/{pk}/events/"))
    until(lambda: not any(map(is_alive, sandbox)), what="the killed worker's sandbox outlived it")


def steps(house: House, pk: str) -> dict[str, int]:
    """What is recorded: by each step's key, the attempt that recorded it."""
    return {step["key"]: step["attempt"] for step in house.rows(f"executions/{pk}/steps/")}


def assert_recorded_steps_ran_once(now: dict[str, int], before: dict[str, int]) -> None:
    assert list(now) == [f"part-{part}" for part in range(1, STEPS + 1)]
    assert set(before.values()) == {1}
    assert {key: now[key] for key in before} == before
    assert now[f"part-{STEPS}"] == 2


def assert_attempts_are_told_apart(attempts: list[dict[str, object]]) -> None:
    first, second = attempts
    assert (first["outcome"], second["outcome"]) == ("lost", "completed")
    assert first["sandbox"] != second["sandbox"]


def assert_history_is_one_story(events: list[dict[str, object]]) -> None:
    """No gap in it, one loss, and one end."""
    kinds = [event["kind"] for event in events]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert kinds.count("lost") == 1
    assert [kind for kind in kinds if kind in FINAL] == kinds[-1:] == ["completed"]


def is_alive(pid: int) -> bool:
    """A zombie that nobody has waited for yet is dead."""
    return bool(processes.read(f"/proc/{pid}/cmdline"))
