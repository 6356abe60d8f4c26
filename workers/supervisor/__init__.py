"""The whole house in one terminal: Redis, web, worker and scheduler, started in order and kept alive.

Guarantees: a process that dies is back within about two seconds and is never given up; a second house in the same
RUNBOARD_HOME is refused; what was started is stopped in order, Redis last; and when the supervisor itself is killed,
the kernel takes every process of the house with it. It imports no Django, which keeps it small and its start quick.
"""

from workers.supervisor.house import House, main

__all__ = ["House", "main"]
