"""What must hold of an entry's revisions, and of holds, when a transaction commits."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from passerelle.domain.states import UNSENT, Reason, State
from passerelle.store.case_history import Act
from passerelle.store.cases import (
    Ending,
    close_case,
    of_entry,
    open_case,
    open_cases,
    park,
    park_under_hold,
)
from passerelle.store.transitions import Change, move

ALREADY_SYNCED = "An earlier revision of this entry is in Loop: correct it there."

# Hardly any entry has two.
_SOME_HAVE_SEVERAL = text("""
SELECT EXISTS (
    SELECT FROM entries e JOIN entries other USING (firm_id, folder_id, entry_id)
    WHERE e.id = ANY(:ids) AND other.id <> e.id)
""")

# All revisions of the entries that the rows of :ids belong to.
_REVISIONS = """
WITH named AS (SELECT DISTINCT firm_id, folder_id, entry_id FROM entries WHERE id = ANY(:ids)),
revisions AS (
    SELECT id, firm_id, folder_id, entry_id, revision, state, doubted
    FROM entries JOIN named USING (firm_id, folder_id, entry_id))
"""

# An older revision whose attempts are all closed and that is not in Loop gives way. Of one that is
# doubted nobody knows.
_GIVES_WAY = text(f"""{_REVISIONS}
SELECT older.id FROM revisions older JOIN revisions newer USING (firm_id, folder_id, entry_id)
WHERE newer.revision > older.revision AND older.state IN ('received', 'waiting', 'parked')
  AND NOT older.doubted AND NOT EXISTS (
    SELECT 1 FROM attempts WHERE attempts.entry = older.id AND closed_as IS NULL)
""")  # noqa: S608 a literal of this module

_CAME_TOO_LATE = text(f"""{_REVISIONS}
SELECT DISTINCT newer.id, firm_id, folder_id
FROM revisions older JOIN revisions newer USING (firm_id, folder_id, entry_id)
WHERE newer.revision > older.revision AND older.state = 'synced'
  AND newer.state IN ('received', 'waiting')
""")  # noqa: S608 idem


def settle(connection: Connection, ids: Sequence[int]) -> None:
    """Call it with the entries that a transaction moved or freed, before it commits.

    The end of one revision decides on the others (engine rule 20), and what came back unsent
    under a hold is parked (engine rule 17).
    """
    if connection.execute(_SOME_HAVE_SEVERAL, {"ids": list(ids)}).scalar_one():
        _settle_revisions(connection, ids)
    park_under_hold(connection, ids)


def _settle_revisions(connection: Connection, ids: Sequence[int]) -> None:
    values = {"ids": list(ids)}
    superseded = list(connection.execute(_GIVES_WAY, values).scalars())
    move(connection, superseded, {*UNSENT, State.PARKED}, Change(State.SUPERSEDED))
    for row in connection.execute(_CAME_TOO_LATE, values).all():
        place = (row.firm_id, row.folder_id)
        cause = of_entry(*place, row.id, Reason.ALREADY_SYNCED, ALREADY_SYNCED)
        park(connection, [row.id], cause, open_case(connection, cause))


@dataclass(frozen=True, slots=True)
class Freed:
    """How many entries the end of a case lets go on, and in which folders."""

    entries: int
    folders: Sequence[int]


def end_case(connection: Connection, case_id: int, ending: Ending) -> Freed:
    """Close a case, and let what waited on it have its turn."""
    freed = close_case(connection, case_id, ending)
    settle(connection, [entry for entry, _ in freed])
    return Freed(len(freed), sorted({folder for _, folder in freed}))


def heal_cases(
    connection: Connection, firm_id: int, reasons: Sequence[Reason], folder: str | None = None
) -> list[int]:
    """The firm's cases of these reasons are over, or those of one of its folders, by its code; the
    folders that may go on.
    """
    cases = open_cases(connection, firm_id, reasons, folder)
    freed = [end_case(connection, case_id, Ending(Act.HEALED)) for case_id in cases]
    return sorted({folder_id for one in freed for folder_id in one.folders})
