import argparse
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from workers.management.commands import worker


def parsed(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> dict[str, Any]:
    """What the worker is told to work as."""
    told: dict[str, Any] = {}
    monkeypatch.setattr("workers.presence.work", told.update)
    call_command("worker", *arguments)
    return told


def test_a_worker_serves_every_queue_with_four_slots_under_its_machines_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "build-7")
    assert parsed(monkeypatch) == {"name": "build-7", "queues": [], "slots": 4, "labels": {}}


def test_a_worker_is_told_its_name_queues_slots_and_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    told = parsed(monkeypatch, "--name", "w", "--queues", "a, b,", "--slots", "2", "--labels", "gpu=yes,zone=eu=1")
    assert told == {"name": "w", "queues": ["a", "b"], "slots": 2, "labels": {"gpu": "yes", "zone": "eu=1"}}


@pytest.mark.parametrize("text", ["0", "-1", "many", ""])
def test_slots_are_a_number_from_one(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        worker.slots(text)


@pytest.mark.parametrize("text", ["gpu", "=yes", "gpu=", "a=b,c"])
def test_a_label_without_key_or_value_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    with pytest.raises(CommandError, match="key=value, not"):
        parsed(monkeypatch, "--labels", text)
