"""What all tasks share: they take ids, call one use case, and know where it comes from."""

import itertools
from collections.abc import Callable, Iterable
from typing import Any

from celery import Task
from celery.exceptions import TaskPredicate
from structlog.contextvars import bound_contextvars

from passerelle.observe import log
from passerelle.runtime import Runtime

_MOST_SHOWN = 5


def _some(values: Iterable[object]) -> str:
    """The first of them; what is no id may be anything that somebody has sent."""
    first = itertools.islice(values, _MOST_SHOWN)
    return ", ".join(str(one) if type(one) is int else "?" for one in first)


class TaskFailedError(Exception):
    """A task ended in an error; the text names its kind, and the log has where it came from."""


class UseCaseTask(Task):
    """A task made with the runtime of the process it will run in."""

    abstract = True
    # A producer in another language cannot know our signature; intake judges what came.
    typing = False
    Request = "tasks.request:Shown"
    # A task whose process died has its next try at once: Celery would wait three minutes.
    default_retry_delay = 0
    # Where true, the message holds what we have nowhere else, and personal data: it neither expires
    # nor is shown in Flower.
    carries_data = False

    # What the ids are of that a bell carries, for Flower.
    of = ""

    def shown(self, args: list[Any]) -> str:
        """The arguments as Flower shows them, in few words and none of a payload's."""
        ids = args[0] if args and isinstance(args[0], list) else args
        more = f" and {len(ids) - _MOST_SHOWN} more" if len(ids) > _MOST_SHOWN else ""
        return f"{self.of} {_some(ids)}{more}".strip()

    def __init__(self, runtime: Callable[[], Runtime]) -> None:
        self.runtime = runtime

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it; of an error that nobody has foreseen no text gets to logs, events or Flower."""
        try:
            # What is logged meanwhile says by which message.
            with bound_contextvars(task=self.name, message_id=self.request.id):
                return self.run(*args, **kwargs)
        # What Celery is to do with the message.
        except TaskPredicate:
            raise
        except Exception as error:  # noqa: BLE001 whatever it is
            log.exception("a task failed", task=self.name, message_id=self.request.id)
            raise TaskFailedError(type(error).__name__) from None
