"""What processes take while they have nothing to do."""

import os
import subprocess

from workers.bench.idle import idle


def test_a_living_process_has_memory_and_a_dead_one_nothing() -> None:
    memory, cpu = idle([os.getpid()], seconds=0.05)
    assert memory > 1
    assert cpu >= 0
    with subprocess.Popen(["true"]) as gone:
        pass
    assert idle([gone.pid], seconds=0.01) == (0.0, 0.0)
