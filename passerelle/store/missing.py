"""What the hub says it has sent, beside what is here.

A named entry is known where that revision of it was taken in, or a later one: what was overtaken is
not to be sent again. What was refused at the door is not known.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from passerelle.domain.event import EntryName
from passerelle.domain.states import State

_NAMED = (
    "unnest(CAST(:firms AS text[]), CAST(:folders AS text[]), CAST(:entry_ids AS text[]), "
    "CAST(:revisions AS integer[]))"
)

# Of several revisions the one in Loop speaks for the entry, else the first that may still get
# there. With LIMIT the planner cannot make a join of it and read all entries: each name costs a
# look into three indexes.
_KNOWN = """
LEFT JOIN LATERAL (
    SELECT e.id, e.revision, e.state, e.reason, e.message
    FROM firms f JOIN folders fo ON fo.firm_id = f.id
    JOIN entries e ON (e.firm_id, e.folder_id) = (fo.firm_id, fo.id)
    WHERE f.code = named.firm AND fo.code = named.folder
    AND e.entry_id = named.entry_id AND e.revision >= named.revision
    ORDER BY e.state <> 'synced', e.state IN ('superseded', 'discarded'), e.revision LIMIT 1
) known ON true
"""


@dataclass(frozen=True, slots=True)
class Known:
    """The revision that speaks for a named entry: our id of it, and why it is where it is."""

    id: int
    revision: int
    state: State
    reason: str | None
    message: str | None


def look_up(connection: Connection, names: Sequence[EntryName]) -> list[Known | None]:
    """How each of these stands, in the same order; None for what is unknown."""
    rows = connection.execute(
        text(
            f"SELECT known.* FROM {_NAMED} WITH ORDINALITY "  # noqa: S608 our own words
            f"AS named (firm, folder, entry_id, revision, n) {_KNOWN} ORDER BY n"
        ),
        _columns(names),
    )
    return [
        None
        if row.id is None
        else Known(row.id, row.revision, State(row.state), row.reason, row.message)
        for row in rows
    ]


def record(connection: Connection, names: Iterable[EntryName]) -> None:
    """Remember that these were named and not known; one named again is counted. The hub is told
    each time.
    """
    # In order: two lists with the same names would wait for each other.
    named = _columns(sorted(set(names)))
    connection.execute(
        text(
            "INSERT INTO missing_entries (firm, folder, entry_id, revision) "  # noqa: S608 idem
            f"SELECT * FROM {_NAMED} ON CONFLICT (firm, folder, entry_id, revision) "
            "DO UPDATE SET named = missing_entries.named + 1, last_named_at = now()"
        ),
        named,
    )
    connection.execute(
        text(
            "INSERT INTO outcomes (firm_id, folder, entry_id, revision, state) "  # noqa: S608 idem
            f"SELECT f.id, folder, entry_id, revision, 'missing' FROM {_NAMED} "
            "AS named (firm, folder, entry_id, revision) "
            "JOIN firms f ON f.code = named.firm AND f.registered_at IS NOT NULL"
        ),
        named,
    )


def count(connection: Connection) -> int:
    """Entries that were named and are unknown still."""
    statement = f"SELECT count(*) FROM missing_entries named {_KNOWN} WHERE known.id IS NULL"  # noqa: S608 idem
    return int(connection.execute(text(statement)).scalar_one())


def _columns(names: Sequence[EntryName]) -> dict[str, list[Any]]:
    return {
        "firms": [name.firm for name in names],
        "folders": [name.folder for name in names],
        "entry_ids": [name.entry_id for name in names],
        "revisions": [name.revision for name in names],
    }
