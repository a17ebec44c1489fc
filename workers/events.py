"""What a worker tells of itself and its tasks, for Flower."""

from typing import Any

from celery.app import events
from celery.events import EventDispatcher

_AGAIN_ONCE = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}


class Dispatcher(EventDispatcher):
    """Connects anew once where its connection is broken, and waits for no broker: what cannot be
    sent is sent with the worker's next connection.

    Celery's waits in the main loop as long as it takes when a worker's own heartbeat is the first
    to find the broker away, and such a worker neither says that it is not ready nor ends.
    """

    def send(self, *args: Any, **fields: Any) -> Any:
        return super().send(*args, **{"retry_policy": _AGAIN_ONCE, **fields})


class Events(events.Events):
    dispatcher_cls = f"{__name__}:Dispatcher"
