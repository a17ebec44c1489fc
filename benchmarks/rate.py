"""How fast entries come through, in a database that may hold millions of others."""

import functools
import time
from collections.abc import Sequence

from sqlalchemy import Engine, text

from benchmarks.contenders import Running
from benchmarks.ground import scalar
from benchmarks.load import Json

MOST = 100_000
"""Entries whose rate can be told at once."""

_LOOK_SECONDS = 0.25
# A database may be slow: what has to be done in time is a part of it all.
_PARTS = 10

# By the key, and between two of them: to count all would cost more than what is measured, and with
# one alone a plan for any value goes through the table.
_LAST = text("SELECT coalesce(max(id), 0) FROM entries")
_THESE = f"FROM entries WHERE id > :last AND id <= :last + {MOST} AND state = 'synced'"
_SYNCED = text(f"SELECT count(*) {_THESE}")
_ENDED = text(f"SELECT extract(epoch FROM max(synced_at))::float {_THESE}")  # noqa: S608 a literal of this module


def rate_of(running: Running, engine: Engine, events: Sequence[Json]) -> float:
    """Entries a second, from the first that is sent to the last that is synced.

    `MOST` events at most; nothing else comes meanwhile.
    """
    last = scalar(engine, _LAST)

    def reaches(wanted: int) -> bool:
        return bool(scalar(engine, _SYNCED, last=last) >= wanted)

    began = time.time()
    running.send(events)
    for part in range(1, _PARTS + 1):
        wanted = len(events) * part // _PARTS
        running.processes.wait_until(
            functools.partial(reaches, wanted), f"{wanted} are synced", every=_LOOK_SECONDS
        )
    ended: float = scalar(engine, _ENDED, last=last)
    return len(events) / (ended - began)
