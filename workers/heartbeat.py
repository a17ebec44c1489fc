"""A file that says that a worker consumes, for health checks that cost nothing."""

from pathlib import Path
from typing import Any

from celery import Celery
from celery.bootsteps import StartStopStep
from celery.worker.consumer.tasks import Tasks

EVERY_SECONDS = 2.0


def keep(app: Celery, path: Path) -> None:
    """Have the app's worker touch a file while it takes messages, from its main loop.

    There and fresh: the worker is ready. Absent: it starts, or looks for its broker. There and
    old: it hangs, and nothing but a new one helps.

    Raises:
        OSError: the file cannot be made.
    """
    path.touch()
    path.unlink()

    class Heartbeat(StartStopStep):
        requires = (Tasks,)

        def __init__(self, parent: Any, **kwargs: Any) -> None:
            self._timer: Any = None
            super().__init__(parent, **kwargs)

        def start(self, parent: Any) -> None:
            path.touch()
            self._timer = parent.timer.call_repeatedly(EVERY_SECONDS, path.touch)

        def stop(self, parent: Any) -> None:
            if self._timer is not None:
                parent.timer.cancel(self._timer)
            path.unlink(missing_ok=True)

    app.steps["consumer"].add(Heartbeat)
