"""What the worker's main process holds of a message while a task runs on it."""

from typing import Any

from celery.worker import request

from passerelle.intake import FAILED
from passerelle.observe import log
from tasks.bells import failures
from tasks.intake import Keep
from tasks.names import KEEP


class Shown(request.Request):
    """Shows of the arguments what the task says is to be shown, to whoever looks into a worker."""

    def info(self, safe: bool = False) -> dict[str, Any]:  # noqa: ARG002, FBT001, FBT002 Celery's
        """With `safe`, as which Flower does not always ask, arguments are those of the header."""
        found: dict[str, Any] = super().info(safe=True)
        return found


class Request(Shown):
    """Keeps the message of a task that failed for good, whatever it failed of: see `reject`."""

    @property
    def request_dict(self) -> dict[str, Any]:
        """What goes to the pool beside the body.

        Without the arguments, which the pool reads from the body: pickled as well, they would
        double what goes through the pipe and may be nested deeper than the pickler can follow.
        """
        return {
            name: value
            for name, value in super().request_dict.items()
            if name not in {"args", "kwargs"}
        }

    def reject(self, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 Celery's
        """Called by Celery, with `requeue`, or where it would drop the message.

        So it is with `acks_on_failure` off: a process that died under it too often, a body that
        the pool could not decode, a bug.
        """
        if not requeue and not self.acknowledged:
            try:
                self.app.send_task(KEEP, args=Keep.arguments(self.body, FAILED, self.type))
            except failures(self.app) as error:
                log.warning("a failed message could not be kept yet", error=type(error).__name__)
                requeue = True
        super().reject(requeue=requeue)
