"""A file that says that a worker consumes, for health checks that cost nothing."""

from pathlib import Path
from typing import Any

from celery import Celery
from celery.bootsteps import StartStopStep
from celery.worker.consumer.tasks import Tasks

from passerelle.observe import log

EVERY_SECONDS = 2.0


class _File:
    """Nothing depends on it but whoever looks: where it cannot be written, the worker goes on.

    An error of the operating system in the main loop would be taken for one of the broker's.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._failed = False

    def touch(self) -> None:
        try:
            self._path.touch()
            self._failed = False
        except OSError as error:
            if not self._failed:
                log.warning("the heartbeat cannot be written", error=type(error).__name__)
            self._failed = True

    def remove(self) -> None:
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("the heartbeat cannot be removed", error=type(error).__name__)


def keep(app: Celery, path: Path) -> None:
    """Have the app's worker touch a file of its own while it takes messages, from its main loop.

    There and fresh: the worker is ready. Absent: it starts, or looks for its broker. There and
    old: the main loop stands still, by itself or with a broker that is frozen.

    Raises:
        OSError: the file cannot be made.
    """
    path.touch()
    path.unlink(missing_ok=True)
    file = _File(path)

    class Heartbeat(StartStopStep):
        requires = (Tasks,)

        def __init__(self, parent: Any, **kwargs: Any) -> None:
            self._timer: Any = None
            super().__init__(parent, **kwargs)

        def start(self, parent: Any) -> None:
            file.touch()
            self._timer = parent.timer.call_repeatedly(EVERY_SECONDS, file.touch)

        def stop(self, parent: Any) -> None:
            if self._timer is not None:
                parent.timer.cancel(self._timer)
            file.remove()

    app.steps["consumer"].add(Heartbeat)
