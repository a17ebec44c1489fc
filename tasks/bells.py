"""Bells: messages that carry ids only, rung after the commit of what they point to."""

from collections.abc import Iterable

from celery import Celery
from kombu.exceptions import OperationalError

from passerelle.observe import log
from tasks.names import DELIVER, DELIVERY

EXPIRES = 900.0
"""Seconds after which a bell is not worth hearing: upkeep has rung again by then.

The sender's clock sets the time and the receiver's tells it, so it is longer than two machines'
clocks may differ, five minutes off each: a worker that hears no bells would do nothing.
"""


def failures(app: Celery) -> tuple[type[Exception], ...]:
    """What sending may raise: the broker is away, cut off, or refuses."""
    connection = app.connection_for_write()
    return (OperationalError, *connection.connection_errors, *connection.channel_errors)


def ring(app: Celery, name: str, queue: str, calls: Iterable[list[object]]) -> None:
    """Ring once for each list of arguments. A bell may be lost: the row is there, upkeep rings."""
    try:
        with app.producer_or_acquire() as producer:
            for args in calls:
                app.send_task(
                    name, args=args, queue=queue, expires=EXPIRES, retry=False, producer=producer
                )
    except failures(app) as error:
        log.warning("a bell could not be rung", bell=name, error=type(error).__name__)


def ring_for_folders(app: Celery, folders: Iterable[int]) -> None:
    ring(app, DELIVER, DELIVERY, ([folder] for folder in folders))
