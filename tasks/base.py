"""What all tasks share: they take ids, call one use case, and know where it comes from."""

from collections.abc import Callable

from celery import Task

from passerelle.runtime import Runtime


class UseCaseTask(Task):
    """A task made with the runtime of the process it will run in."""

    abstract = True
    # A producer in another language cannot know our signature; intake judges what came.
    typing = False

    def __init__(self, runtime: Callable[[], Runtime]) -> None:
        self.runtime = runtime
