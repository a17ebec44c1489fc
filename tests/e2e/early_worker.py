"""A worker on a machine whose clock is five minutes ahead."""

import datetime as dt
import os

import time_machine

from config.settings import read_settings
from workers.app import make_app

_AHEAD = dt.timedelta(minutes=5)
time_machine.travel(dt.datetime.now(dt.UTC) + _AHEAD, tick=True).start()
app = make_app(read_settings(os.environ))
