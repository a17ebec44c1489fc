"""The product's workers without what lets people watch them, as far as UNWATCHED names it."""

import logging
import os
from typing import Any

import structlog
from celery import signals

from config.settings import read_settings
from passerelle.meter import Meter
from workers.app import make_app

_WITHOUT = os.environ["UNWATCHED"].split(",")

app = make_app(read_settings(os.environ))
if "events" in _WITHOUT:
    app.conf.worker_send_task_events = False
if "figures" in _WITHOUT:
    Meter.count = lambda *_, **__: None  # type: ignore[method-assign]


def _say_nothing(**_: Any) -> None:
    """After the product's own: those who are connected are called in order."""
    if "logs" in _WITHOUT:
        logging.disable(logging.WARNING)
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))


signals.setup_logging.connect(_say_nothing)
