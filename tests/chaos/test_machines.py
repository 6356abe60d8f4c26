"""A worker on another machine claims, is cut off past its lease, and its work goes on elsewhere; its late words are refused."""

from collections.abc import Iterator

import pytest

from tests.services import Missing, end, missing, until
from workers.chaos.houses import Broken, broken
from workers.chaos.lines import Line
from workers.chaos.load import Load
from workers.chaos.machines import HERE, HOST, Machine, machine
from workers.chaos.storm import judge, settle

FAR = "far"


@pytest.fixture
def house() -> Iterator[Broken]:
    """On a PostgreSQL of its own, whatever the other tests run on: machines that share a house share one."""
    try:
        with broken("postgresql", more=False) as house:
            yield house
    except Missing as why:
        missing(str(why))


@pytest.fixture
def far(house: Broken) -> Iterator[Machine]:
    try:
        with machine(house) as far:
            yield far
    except Missing as why:
        missing(str(why))


def test_a_machine_that_is_cut_off_loses_its_work_to_another(house: Broken, far: Machine) -> None:
    load = Load(house.house, seed=1)
    busy = [load.submit("chaos-long", {"seconds": 300}) for _ in range(4)]  # the house's own slots are taken
    for one in busy:
        house.house.reaches(one, "running", within=60)
    worker = far.run("worker", "--name", FAR, "--slots", "1", environment=addresses(house))
    until(lambda: {row["name"]: row["host"] for row in house.house.rows("workers/")}.get(FAR) == HOST, within=60)
    pk = load.submit("chaos-steps", {"steps": 5, "seconds": 0.9})
    until(lambda: house.house.rows(f"executions/{pk}/steps/"), within=60, what="no step was recorded")
    assert house.house.execution(pk)["worker"] == FAR

    far.pull()
    for one in busy:
        load.ask("POST", f"executions/{one}/cancel/", {})
    done = house.house.reaches(pk, "completed", within=90)
    far.plug()
    refused = until(lambda: late_words(house, pk), within=90, what="its late words were not heard")
    end(worker)

    assert (done["attempt"], done["output"]) == (2, 15)
    assert {event["actor"] for event in refused} == {f"worker:{FAR}"}
    assert settle(house, load) == {}
    assert judge(house, load).broke == []


def addresses(house: Broken) -> dict[str, str]:
    """What a worker on the other machine is told: the house, by way of the cable."""
    assert house.cluster is not None
    postgresql = Line(("127.0.0.1", house.cluster.port), host=HERE)
    redis = Line(str(house.home / "run" / "redis.sock"), host=HERE)
    return {
        **house.house.environment,
        "DATABASE_URL": f"postgres://postgres@{HERE}:{postgresql.port}/runboard",
        "REDIS_URL": f"redis://{HERE}:{redis.port}/0",
    }


def late_words(house: Broken, pk: str) -> list[dict[str, object]]:
    return [event for event in house.house.rows(f"executions/{pk}/events/") if event["kind"] == "write_refused"]
