"""A worker, or beat, on a machine whose clock is CLOCK_AHEAD seconds ahead, or behind."""

import datetime as dt
import os

import time_machine

from config.settings import read_settings
from workers.app import make_app

_ahead = dt.timedelta(seconds=float(os.environ["CLOCK_AHEAD"]))
time_machine.travel(dt.datetime.now(dt.UTC) + _ahead, tick=True).start()
app = make_app(read_settings(os.environ))
