"""Histories kept, checked and let go: what no verb does, because it changes no execution.

`fold` says what events mean (pure), `verifying` holds that and the seals against the database, `anchors` sign what was true of
all of them once a day, `pruning` lets go of what is old. `upkeep` is what the scheduler does of it.
"""

from executions.history.upkeep import Upkeep

__all__ = ["Upkeep"]
