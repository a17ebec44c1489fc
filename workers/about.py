"""What a worker says of itself when `passerelle doctor` asks."""

import importlib.metadata
import time
from typing import Any

from celery.worker import state
from celery.worker.control import inspect_command

from config.settings import Settings

ABOUT = "about"


def answer_about(settings: Settings) -> None:
    """Have the workers of this process answer the control command `about`."""

    def about(_: Any) -> dict[str, Any]:
        """The version, and for how long the eldest of the tasks under way has run, in seconds."""
        # Threads change it meanwhile; a list of a dictionary's values is made in one step.
        began = [one.time_start for one in list(state.requests.values()) if one.time_start]
        return {
            "version": version(),
            "visibility_seconds": settings.visibility_seconds,
            "longest_seconds": round(time.time() - min(began), 1) if began else 0.0,
        }

    inspect_command(name=ABOUT)(about)


def version() -> str:
    return importlib.metadata.version("passerelle")
