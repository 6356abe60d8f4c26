"""Every Celery task of the house, one line each. They ring; the work itself is claimed from the database."""

from celery import shared_task

from workers.dispatch import JOB
from workers.slots import wake


@shared_task(name=JOB)
def wake_up(queue: str) -> None:
    """A queue that this worker serves may have work."""
    wake()
