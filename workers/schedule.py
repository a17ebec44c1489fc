"""When beat's jobs run."""

import datetime as dt

from celery.schedules import schedule


class Every(schedule):
    """Every so many seconds, also where the last run is yet to come.

    So it is where the clock was set back since, and Celery would wait until it has caught up.
    """

    def remaining_estimate(self, last_run_at: dt.datetime) -> dt.timedelta:
        left: dt.timedelta = super().remaining_estimate(last_run_at)
        return left if left <= self.run_every else dt.timedelta(0)
