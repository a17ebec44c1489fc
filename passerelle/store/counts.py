"""How many entries are in each state. No statement reads all of them.

What is settled is millions after a while, and nearly all of it is synced.
"""

from sqlalchemy import Connection, text

from passerelle.domain.states import UNSETTLED

POSTED = """
SELECT id FROM entries WHERE read_again_at IS NOT NULL AND state = 'posted'
UNION SELECT e.id FROM attempts a JOIN entries e ON e.id = a.entry
WHERE a.closed_at IS NULL AND e.state = 'posted'
"""
"""The ids of entries that are posted."""

# Each by an index of its own; what is settled is in none of them.
_UNSETTLED = f"""
SELECT state, reason, count(*) AS n FROM entries
WHERE state IN ('received', 'waiting') GROUP BY 1, 2
UNION ALL SELECT state, NULL, count(*) FROM entries WHERE state = 'posting' GROUP BY 1
UNION ALL SELECT state, NULL, count(*) FROM entries WHERE state = 'uncertain' GROUP BY 1
UNION ALL SELECT state, reason, count(*) AS n FROM entries WHERE case_id IS NOT NULL GROUP BY 1, 2
UNION ALL SELECT 'posted', NULL, count(*) FROM ({POSTED}) posted
"""  # noqa: S608 a literal of this module

# What is left is synced. All are counted by the key alone.
_BY_STATE = text(f"""
WITH counted AS MATERIALIZED (
    SELECT state, n FROM ({_UNSETTLED}) unsettled
    UNION ALL SELECT state, count(*) FROM entries
    WHERE state IN ('discarded', 'superseded') GROUP BY 1)
SELECT state, sum(n)::bigint AS n FROM counted GROUP BY 1
UNION ALL SELECT 'synced',
    (SELECT count(*) FROM entries) - (SELECT coalesce(sum(n), 0)::bigint FROM counted)
""")  # noqa: S608 a literal of this module


def by_state(connection: Connection) -> dict[str, int]:
    """How many entries are in each state, of those that occur."""
    return {row.state: row.n for row in connection.execute(_BY_STATE) if row.n}


_ALWAYS: list[tuple[str, ...]] = [(state, "") for state in sorted(UNSETTLED)]
"""Told where there is none, too: a graph has no gaps."""


def unsettled(connection: Connection) -> dict[tuple[str, ...], int]:
    """How many entries are in each state that is not final, by state and reason ("" for none)."""
    rows = connection.execute(text(_UNSETTLED)).all()
    found: dict[tuple[str, ...], int] = dict.fromkeys(_ALWAYS, 0)
    return found | {(row.state, row.reason or ""): row.n for row in rows}
