"""What the end of one revision means for the others of its entry (engine rule 20)."""

from collections.abc import Sequence

from sqlalchemy import Connection, text

from passerelle.domain.states import UNSENT, Reason, Scope, State
from passerelle.store.cases import Cause, open_case, park
from passerelle.store.transitions import Change, move

ALREADY_SYNCED = "An earlier revision of this entry is in Loop: correct it there."

# An older revision whose attempts are all closed and that is not in Loop gives way.
_GIVES_WAY = text("""
SELECT older.id FROM entries older
WHERE older.id = ANY(:ids) AND older.state IN ('received', 'waiting', 'parked')
  AND EXISTS (
    SELECT 1 FROM entries newer
    WHERE newer.firm_id = older.firm_id AND newer.folder_id = older.folder_id
      AND newer.entry_id = older.entry_id AND newer.revision > older.revision)
  AND NOT EXISTS (
    SELECT 1 FROM attempts WHERE attempts.entry = older.id AND closed_at IS NULL)
""")

_CAME_TOO_LATE = text("""
SELECT newer.id, newer.firm_id, newer.folder_id FROM entries newer
JOIN entries older ON newer.firm_id = older.firm_id AND newer.folder_id = older.folder_id
  AND newer.entry_id = older.entry_id AND newer.revision > older.revision
WHERE older.state = 'synced' AND newer.state IN ('received', 'waiting')
  AND (older.id = ANY(:ids) OR newer.id = ANY(:ids))
""")


def settle_revisions(connection: Connection, ids: Sequence[int]) -> None:
    """Call it with the entries that a transaction moved, before it commits."""
    values = {"ids": list(ids)}
    superseded = list(connection.execute(_GIVES_WAY, values).scalars())
    move(connection, superseded, {*UNSENT, State.PARKED}, Change(State.SUPERSEDED))
    for row in connection.execute(_CAME_TOO_LATE, values).all():
        cause = Cause(
            Scope.ENTRY,
            row.firm_id,
            row.folder_id,
            Reason.ALREADY_SYNCED,
            ALREADY_SYNCED,
            cause=f"entry {row.id}",
        )
        park(connection, [row.id], cause, open_case(connection, cause))
