"""Twins: entries of a folder with the same journal, piece, date and lines (engine rule 13)."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from passerelle.store.claims import Ready


@dataclass(frozen=True, slots=True)
class Twins:
    """What other entries like it have come to: whether one is on its way, and how many are in Loop.

    `origins` of those that were sent with one. Those that were sent without are counted alone.
    """

    open: bool
    synced: int
    origins: Sequence[str]


_TWINS = text("""
SELECT of.entry,
    bool_or(a.closed_at IS NULL) AS open,
    count(DISTINCT a.entry) FILTER (WHERE e.state = 'synced' AND origin IS NULL) AS synced,
    coalesce(array_agg(DISTINCT origin) FILTER (WHERE origin IS NOT NULL), '{}') AS origins
FROM unnest(CAST(:entries AS bigint[]), CAST(:keys AS bytea[])) AS of(entry, twin_key)
JOIN attempts a ON a.folder_id = :folder_id AND a.twin_key = of.twin_key AND a.entry <> of.entry
JOIN entries e ON e.id = a.entry
CROSS JOIN LATERAL (SELECT a.lines->0->>'ecritureOrigine' AS origin) o
GROUP BY of.entry
""")


def twins_of(connection: Connection, folder_id: int, ready: Sequence[Ready]) -> dict[int, Twins]:
    """The twins of each entry that has any that was ever sent."""
    rows = connection.execute(
        _TWINS,
        {
            "folder_id": folder_id,
            "entries": [one.entry for one in ready],
            "keys": [one.twin_key for one in ready],
        },
    )
    return {row.entry: Twins(row.open, row.synced, row.origins) for row in rows}
