"""What all tasks share: they take ids, call one use case, and know where it comes from."""

from collections.abc import Callable

from celery import Task

from passerelle.runtime import Runtime


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

    def __init__(self, runtime: Callable[[], Runtime]) -> None:
        self.runtime = runtime
