"""What all tasks share: they take ids, call one use case, and know where it comes from."""

import itertools
from collections.abc import Callable, Iterable
from typing import Any

from celery import Task

from passerelle.runtime import Runtime

_MOST_SHOWN = 5
_SHOWN = 100


def _some(values: Iterable[object]) -> str:
    """The first of them, in ASCII: they may be anything that somebody has sent."""
    first = ", ".join(map(ascii, itertools.islice(values, _MOST_SHOWN)))
    return first[:_SHOWN]


class UseCaseTask(Task):
    """A task made with the runtime of the process it will run in."""

    abstract = True
    # A producer in another language cannot know our signature; intake judges what came.
    typing = False
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
