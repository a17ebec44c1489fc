"""Many messages of one event each, taken in by one transaction, in a process of the pool."""

import time
from collections.abc import Sequence
from typing import cast

from celery import current_app
from kombu.utils.json import loads
from sqlalchemy.exc import SQLAlchemyError
from structlog.contextvars import bound_contextvars

from tasks.intake import Submit, requeued_at, ring_and_tell
from tasks.names import SUBMIT


def take_in_together(
    bodies: Sequence[bytes | str], message_ids: Sequence[str]
) -> tuple[dict[str, int], float]:
    """What became of all of them, and how many seconds it took.

    Raises:
        Reject: the database is away; all of them are to be put back.
        Exception: something stands against one of them or all; each is to be taken in by itself.
    """
    began = time.monotonic()
    task = cast(Submit, current_app.tasks[SUBMIT])
    events = []
    for body in bodies:
        # As any other it would be told what it lacks by itself.
        (event,), named, _ = loads(body)
        if named:
            raise ValueError("an event is not given by name")
        events.append(event)
    with (
        bound_contextvars(task=SUBMIT, message_ids=list(message_ids)),
        requeued_at(SQLAlchemyError),
    ):
        done = task.runtime().intake.take_in(events)
    told = {"together": len(events), **ring_and_tell(current_app, done)}
    return told, time.monotonic() - began
