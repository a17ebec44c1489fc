"""What a worker tells of itself and its tasks, for Flower."""

from typing import Any

from celery.app import events
from celery.events import EventDispatcher


class Dispatcher(EventDispatcher):
    """Waits for no broker: what cannot be sent is sent with the next connection.

    Celery's waits in the main loop as long as it takes when a worker's own heartbeat is the first
    to find the broker away, and such a worker neither says that it is not ready nor ends.
    """

    def send(self, *args: Any, **fields: Any) -> Any:
        return super().send(*args, **(fields | {"retry": False}))


class Events(events.Events):
    dispatcher_cls = f"{__name__}:Dispatcher"
