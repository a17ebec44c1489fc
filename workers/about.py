"""What a worker says of itself when `passerelle doctor` asks."""

import hashlib
import importlib.metadata
import time
from typing import Any

from celery.worker import state as under_way
from celery.worker.control import inspect_command

from config.settings import Settings

ABOUT = "about"


def answer_about(settings: Settings) -> None:
    """Have the worker of this process answer the control command `about`."""
    # As it was started: what is installed may be another by the time that somebody asks.
    here = version()

    def about(state: Any) -> dict[str, Any]:
        """Version, queues, which keys it has, and for how long the eldest task under way has run,
        in seconds.
        """
        # Threads change it meanwhile; a list of a dictionary's values is made in one step.
        began = [one.time_start for one in list(under_way.requests.values()) if one.time_start]
        return {
            "version": here,
            "keys": names_of_keys(settings),
            "queues": [queue.name for queue in state.consumer.task_consumer.queues],
            "visibility_seconds": settings.visibility_seconds,
            "longest_seconds": round(time.time() - min(began), 1) if began else 0.0,
        }

    inspect_command(name=ABOUT)(about)


def names_of_keys(settings: Settings) -> list[str]:
    """By which the keys for secrets are told apart and not known: a part of each one's hash."""
    keys = settings.secret_keys or ()
    return [hashlib.sha256(key.encode()).hexdigest()[:8] for key in keys]


def version() -> str:
    return importlib.metadata.version("passerelle")
