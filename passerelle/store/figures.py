"""Figures for graphs: what processes have counted, and how things stand.

No statement reads all entries: what is settled is counted as it settles.
"""

import copy
import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, text

from passerelle.meter import Counted, Key
from passerelle.store import missing
from passerelle.store.claims import HAS_NO_ATTEMPT
from passerelle.store.endpoints import UNTOLD
from passerelle.store.identity import went_back
from passerelle.store.queries import STANDING

_ADD = text("""
INSERT INTO figures AS known (name, labels, count, seconds, buckets)
VALUES (:name, CAST(:labels AS jsonb), :count, :seconds, :buckets)
ON CONFLICT (name, labels) DO UPDATE SET count = known.count + excluded.count,
    seconds = known.seconds + excluded.seconds,
    buckets = ARRAY(SELECT a + b FROM unnest(known.buckets, excluded.buckets) WITH ORDINALITY
                    AS one (a, b, n) ORDER BY n)
""")


def add(connection: Connection, counted: Mapping[Key, Counted]) -> None:
    """Add to what was counted before."""
    # In order: two processes would wait for each other.
    rows = [
        {
            "name": name,
            "labels": json.dumps(dict(labels)),
            "count": one.count,
            "seconds": one.seconds,
            "buckets": one.buckets,
        }
        for (name, labels), one in sorted(counted.items(), key=lambda pair: pair[0])
    ]
    connection.execute(_ADD, rows)


def counted(connection: Connection) -> Iterator[tuple[str, dict[str, str], Counted]]:
    """Everything that was counted, by name and labels."""
    rows = connection.execute(
        text("SELECT name, labels, count AS n, seconds, buckets FROM figures ORDER BY name, labels")
    )
    for row in rows:
        yield row.name, row.labels, Counted(row.n, row.seconds, list(row.buckets))


# What is due may be sent: not of a firm that is left alone, nor behind an older revision of which
# nobody knows yet whether it is in Loop. What nobody reads because of a hold is not old.
_GAUGES = text(f"""
SELECT
  (SELECT coalesce(extract(epoch FROM now() - min(due.due_at)), 0)::float
   FROM firms f JOIN folders fo ON fo.firm_id = f.id CROSS JOIN LATERAL (
     SELECT e.due_at FROM entries e
     WHERE e.folder_id = fo.id AND e.state IN ('received', 'waiting') AND e.due_at <= now()
       AND {HAS_NO_ATTEMPT}
     ORDER BY e.due_at LIMIT 1) due
   WHERE f.paused_until IS NULL OR f.paused_until <= now()) AS oldest_due_seconds,
  (SELECT coalesce(extract(epoch FROM now() - coalesce(
     (SELECT sent_at FROM imports ORDER BY id DESC LIMIT 1), min(created_at))), 0)::float
   FROM firms) AS since_last_import_seconds,
  (SELECT coalesce(extract(epoch FROM now() - min(poll_at)), 0)::float
   FROM imports WHERE poll_at <= now()) AS oldest_poll_seconds,
  {STANDING},
  (SELECT coalesce(extract(epoch FROM now() - since), 0)::float FROM outages) AS loop_down_seconds,
  (SELECT count(*) FROM refused_events
   WHERE taken_in_at IS NULL AND last_received_at > now() - interval '1 day')
    AS refused_events_of_a_day,
  (SELECT coalesce(extract(epoch FROM now() - min(fo.refreshed_at)), 0)::float
   FROM folders fo JOIN firms f ON f.id = fo.firm_id
   WHERE fo.registered_at IS NOT NULL AND fo.held_by IS NULL AND f.held_by IS NULL)
    AS oldest_referentials_seconds,
  (SELECT count(*) FROM folders WHERE registered_at IS NOT NULL AND refreshed_at IS NULL)
    AS folders_never_read,
  (SELECT count(*) FROM referential_flags) AS referential_flags,
  (SELECT count(*) FROM messages WHERE told_at IS NULL AND due_at IS NOT NULL) AS messages_aside,
  (SELECT coalesce(extract(epoch FROM now() - min(o.at)), 0)::float
   FROM endpoints ep CROSS JOIN LATERAL {UNTOLD} o
   WHERE ep.url IS NOT NULL AND ep.down_since IS NULL) AS oldest_untold_seconds
""")  # noqa: S608 literals of modules beside this one


def gauges(connection: Connection) -> dict[str, float]:
    """How things stand, by name; seconds where the name says so."""
    row = connection.execute(_GAUGES).one()
    return {
        **{name: float(value) for name, value in row._asdict().items()},
        "missing_entries": float(missing.count(connection)),
        "database_went_back": float(went_back(connection)),
    }


def open_cases(connection: Connection) -> dict[str, int]:
    """How many cases are open, by reason."""
    rows = connection.execute(
        text("SELECT reason, count(*) AS n FROM cases WHERE state = 'open' GROUP BY reason")
    )
    return {row.reason: row.n for row in rows}


_HORIZON_SECONDS = 10.0

SYNCED_BOUNDS = (2.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 86_400.0)
"""Upper bounds of the seconds from an entry's validation in the hub to its being in Loop."""


@dataclass(slots=True)
class Settled:
    """What has come to pass since it was first looked: entries by what the hub is told of them and
    reason, cuts of synced ones by field, how long those took, and how often one became uncertain.
    """

    outcomes: dict[tuple[str, ...], int]
    cuts: dict[str, int]
    synced_buckets: list[int]
    synced_seconds: float = 0.0
    uncertain: int = 0


_LATEST = """
SELECT (SELECT coalesce(max(id), 0) FROM outcomes) AS outcomes,
    (SELECT coalesce(max(id), 0) FROM transitions) AS transitions
"""
_OUTCOMES = text("""
SELECT state, reason, count(*) AS n FROM outcomes WHERE id > :after AND id <= :upto GROUP BY 1, 2
""")
_CUTS = text("""
SELECT cut ->> 'field' AS field, count(*) AS n
FROM outcomes o JOIN entries e ON e.id = o.entry, jsonb_array_elements(e.cuts) cut
WHERE o.id > :after AND o.id <= :upto AND o.state = 'synced' GROUP BY 1
""")
_SYNCED = text("""
SELECT width_bucket(took, CAST(:bounds AS float[])) AS bucket, count(*) AS n, sum(took) AS seconds
FROM (
    SELECT greatest(0, extract(epoch FROM o.at - e.occurred_at))::float AS took
    FROM outcomes o JOIN entries e ON e.id = o.entry
    WHERE o.id > :after AND o.id <= :upto AND o.state = 'synced') synced
GROUP BY 1
""")
_UNCERTAIN = text("""
SELECT count(*) FROM transitions
WHERE id > :after AND id <= :upto AND to_state = 'uncertain'
""")


class Following:
    """Counts what comes to pass, from now on; each look reads what came since the one before.

    No look goes beyond what was there ten seconds ago, by `clock`: what a transaction is at that
    takes longer may be left out.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # What was there at each look of the last ten seconds and the one before them.
        self._seen: deque[tuple[float, dict[str, int]]] = deque()
        self._after: dict[str, int] | None = None
        self._settled = Settled({}, {}, [0] * (len(SYNCED_BOUNDS) + 1))

    def look(self, connection: Connection) -> Settled:
        latest = connection.execute(text(_LATEST)).one()._asdict()
        now = self._clock()
        self._seen.append((now, latest))
        while len(self._seen) > 1 and self._seen[1][0] <= now - _HORIZON_SECONDS:
            self._seen.popleft()
        at, upto = self._seen[0]
        after = self._after
        if after is None:
            self._after = latest
        elif at <= now - _HORIZON_SECONDS and upto != after:
            found = copy.deepcopy(self._settled)
            _count_outcomes(connection, found, after["outcomes"], upto["outcomes"])
            _count_uncertain(connection, found, after["transitions"], upto["transitions"])
            # Together, or a look that fails between would lose what it was to count.
            self._settled, self._after = found, upto
        return self._settled


def _count_outcomes(connection: Connection, found: Settled, after: int, upto: int) -> None:
    window = {"after": after, "upto": upto}
    for row in connection.execute(_OUTCOMES, window):
        key = (row.state, row.reason or "")
        found.outcomes[key] = found.outcomes.get(key, 0) + row.n
    for row in connection.execute(_CUTS, window):
        found.cuts[row.field] = found.cuts.get(row.field, 0) + row.n
    for row in connection.execute(_SYNCED, window | {"bounds": list(SYNCED_BOUNDS)}):
        found.synced_buckets[row.bucket] += row.n
        found.synced_seconds += row.seconds


def _count_uncertain(connection: Connection, found: Settled, after: int, upto: int) -> None:
    window = {"after": after, "upto": upto}
    found.uncertain += connection.execute(_UNCERTAIN, window).scalar_one()
