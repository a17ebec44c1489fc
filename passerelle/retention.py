"""Erasing the contents of what was settled long ago, where a deployment wants that (ADR 17)."""

import threading
import time

from sqlalchemy import Engine

from passerelle.meter import Meter
from passerelle.observe import log
from passerelle.store import retention
from passerelle.store.identity import went_back

_MOST = 1000
"""Entries in a transaction: a tenth of a second or two, for which an intake may wait."""

_BUDGET_SECONDS = 20.0
"""Of each minute, so that it takes no more than a part of what the database can do."""


class Retention:
    """`keep_days`: for how long contents are kept; None: for ever. `stop` is set when the process
    is to end.
    """

    def __init__(
        self, engine: Engine, keep_days: int | None, stop: threading.Event, meter: Meter
    ) -> None:
        self._engine = engine
        self._keep_days = keep_days
        self._stop = stop
        self._meter = meter

    def erase(self, most: int = _MOST) -> int:
        """Erase what is due, `most` entries in a transaction; of how many. Several at once share
        the work.
        """
        if self._keep_days is None:
            return 0
        erased, after, end = 0, None, time.monotonic() + _BUDGET_SECONDS
        while time.monotonic() < end and not self._stop.is_set():
            with self._engine.begin() as connection:
                # What it was compared with Loop by may be wanted before anything else happens.
                if went_back(connection):
                    break
                page = retention.erase(connection, self._keep_days, after, most)
                retention.forget_taken_in(connection, self._keep_days, most)
            erased, after = erased + page.erased, page.last
            if page.seen < most:
                break
        if erased:
            log.info("contents were erased", count=erased)
            self._meter.count("erased", times=erased)
        return erased
