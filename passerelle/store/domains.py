"""A firm's keys come to lead to another Loop domain: what was sent stays in the old one (rule 21).

Nothing of it can be asked for any more.
"""

from sqlalchemy import Connection, text

from passerelle.domain.states import Reason, State
from passerelle.store.case_history import Act
from passerelle.store.cases import Ending, mark_closed, of_entry, open_case, open_cases
from passerelle.store.revisions import settle
from passerelle.store.transitions import Change, move

_ON_ITS_WAY = {State.POSTING, State.POSTED, State.UNCERTAIN}

_POSTING = text("""
SELECT EXISTS (SELECT FROM entries
               WHERE firm_id = :firm_id AND state = 'posting' AND lease_until > now())
""")


def is_posting(connection: Connection, firm_id: int) -> bool:
    """Whether a delivery of the firm is under way. One whose lease ran out sends nothing more."""
    return bool(connection.execute(_POSTING, {"firm_id": firm_id}).scalar_one())


def is_doubted(connection: Connection, firm_id: int) -> bool:
    """Whether entries of the firm may have been sent by what was lost (rule 23)."""
    found = connection.execute(
        text("SELECT EXISTS (SELECT FROM entries WHERE firm_id = :firm_id AND doubted)"),
        {"firm_id": firm_id},
    )
    return bool(found.scalar_one())


def lock_imports(connection: Connection, firm_id: int) -> None:
    """Lock the import requests whose end is open: before the firm, as whoever records an answer."""
    connection.execute(
        text(
            "SELECT id FROM imports WHERE id IN ("
            "SELECT id FROM imports WHERE firm_id = :firm_id AND poll_at IS NOT NULL UNION "
            "SELECT import_id FROM attempts WHERE firm_id = :firm_id AND closed_at IS NULL) "
            "ORDER BY id FOR UPDATE"
        ),
        {"firm_id": firm_id},
    )


# Who has a lease has read the old keys; without it nothing is claimed, marked or stored by them.
_FORGET = [
    text("SELECT id FROM folders WHERE firm_id = :firm_id ORDER BY id FOR UPDATE"),
    text(
        "UPDATE folders SET lease = NULL, lease_until = NULL, refreshed_at = NULL, "
        "refresh_at = NULL "
        "WHERE firm_id = :firm_id"
    ),
    # By folder, as its key is; the firm waits meanwhile.
    text(
        "DELETE FROM referential_records "
        "WHERE folder_id IN (SELECT id FROM folders WHERE firm_id = :firm_id)"
    ),
    text("DELETE FROM referential_flags WHERE firm_id = :firm_id"),
    text("UPDATE imports SET poll_at = NULL WHERE firm_id = :firm_id AND poll_at IS NOT NULL"),
    text(
        "UPDATE entries SET read_again_at = NULL WHERE id IN (SELECT id FROM entries "
        "WHERE firm_id = :firm_id AND read_again_at IS NOT NULL ORDER BY id FOR UPDATE)"
    ),
]
_OPEN = text("""
SELECT a.entry, a.folder_id, a.import_id FROM attempts a JOIN entries e ON e.id = a.entry
WHERE a.firm_id = :firm_id AND a.closed_at IS NULL AND e.state = ANY(:states) ORDER BY a.entry
""")


def leave(connection: Connection, firm_id: int, message: str) -> int:
    """Ask nothing more of what the old keys led to, and forget what was read there.

    Entries with an open attempt are `undecided`, each under a case of its own; how many. The
    attempts stay open until a person settles them. Imports and the firm are locked before.
    """
    values = {"firm_id": firm_id}
    for statement in _FORGET:
        connection.execute(statement, values)
    # Nobody hears of their end any more.
    for case_id in open_cases(connection, firm_id, [Reason.IMPORT_STUCK]):
        mark_closed(connection, case_id, Ending(Act.DISMISSED, why=message))
    rows = connection.execute(_OPEN, {**values, "states": list(_ON_ITS_WAY)}).all()
    for row in rows:
        cause = of_entry(firm_id, row.folder_id, row.entry, Reason.UNDECIDED, message)
        case_id = open_case(connection, cause)
        change = Change(State.PARKED, cause.reason, message, case_id, row.import_id)
        move(connection, [row.entry], _ON_ITS_WAY, change)
    settle(connection, [row.entry for row in rows])
    return len(rows)
