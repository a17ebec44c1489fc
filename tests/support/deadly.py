"""The Celery app whose process dies where it takes in a marked event, be it by itself or together
with others: `celery -A support.deadly`.
"""

import json
import os
import signal
import sys
from types import FrameType
from typing import Any

from celery import signals

from config.settings import read_settings
from workers.app import make_app

DEADLY = "kills the process that takes it in"


def _die(frame: FrameType, happened: str, _: object) -> None:
    # Not where it is kept, which looks at nothing.
    is_it = happened == "call" and frame.f_code.co_qualname == "Intake.take_in"
    if is_it and DEADLY in json.dumps(frame.f_locals["raws"]):
        os.kill(os.getpid(), signal.SIGKILL)


def _main() -> Any:
    signals.worker_process_init.connect(lambda **_: sys.setprofile(_die), weak=False)
    return make_app(read_settings(os.environ))


app = _main() if "PASSERELLE_BROKER_URL" in os.environ else None
