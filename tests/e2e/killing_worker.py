"""A worker that ends as by `kill -9` when a delivery comes to the step named in KILL_AT."""

import os
import signal

from config.settings import read_settings
from passerelle.runtime import Runtime
from workers.app import make_app


def _checkpoint(step: str) -> None:
    if step == os.environ["KILL_AT"]:
        os.kill(os.getpid(), signal.SIGKILL)


_settings = read_settings(os.environ)
app = make_app(_settings, Runtime(_settings, _checkpoint))
