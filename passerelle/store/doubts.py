"""Entries that may have been sent by what was lost when the database went back (engine rule 23)."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from passerelle.domain.states import State
from passerelle.store.case_history import Act
from passerelle.store.cases import Ending, mark_closed
from passerelle.store.claims import DUE, HAS_NO_ATTEMPT, Due, Ready, open_import
from passerelle.store.transitions import Change, move

_PAGE = 100
"""Entries that get their attempts in one transaction, at most."""

_AHEAD = 600.0
"""Seconds that the hub's clock may be ahead of the database's."""

_LOST_AT_MOST = 1_000_000
"""Import requests between a backup and what is lost with the database."""

_DOUBT = text("""
WITH page AS (
    SELECT id FROM entries WHERE id > :after AND received_at < :restored_at
      AND state NOT IN ('synced', 'superseded', 'discarded')
    ORDER BY id LIMIT :most FOR UPDATE
)
UPDATE entries e SET doubted = true FROM page WHERE e.id = page.id RETURNING e.id
""")


def doubt_from(
    connection: Connection, restored_at: dt.datetime, after: int, most: int
) -> list[int]:
    """Doubt entries that are not final, in order of id behind `after`; which they were.

    Those with an open attempt, too: it may be proven absent, and what was lost sent it again.
    """
    values = {"restored_at": restored_at, "after": after, "most": most}
    return sorted(connection.execute(_DOUBT, values).scalars())


def doubt_arrivals(connection: Connection, ids: Sequence[int]) -> None:
    """Doubt those of these new entries that were validated before the database was restored."""
    connection.execute(
        text(
            "UPDATE entries e SET doubted = true FROM database_identity known "
            "WHERE e.id = ANY(:ids) AND e.state <> 'superseded' "
            "AND e.occurred_at < known.restored_at + make_interval(secs => :ahead)"
        ),
        {"ids": list(ids), "ahead": _AHEAD},
    )


def believe(connection: Connection, entry: int) -> None:
    """What a person says of an entry was seen after the database was restored."""
    connection.execute(text("UPDATE entries SET doubted = false WHERE id = :id"), {"id": entry})


def skip_lost_imports(connection: Connection) -> None:
    """Ids of import requests that were lost are not given again: the answer to one may come yet."""
    connection.execute(
        text(
            "SELECT setval(name, nextval(name) + :lost) "
            "FROM (SELECT CAST(pg_get_serial_sequence('imports', 'id') AS regclass)) AS of (name)"
        ),
        {"lost": _LOST_AT_MOST},
    )


@dataclass(frozen=True, slots=True)
class Place:
    """A folder and its firm."""

    id: int
    code: str
    firm_id: int
    firm_code: str


# Of `entries e`. What is on its way is asked for first, whatever the revision.
_FREE = f"e.doubted AND {HAS_NO_ATTEMPT}"


def folders_in_doubt(connection: Connection) -> list[int]:
    rows = connection.execute(
        text(f"SELECT DISTINCT folder_id FROM entries e WHERE {_FREE} ORDER BY folder_id")  # noqa: S608 a literal of this module
    )
    return list(rows.scalars())


def lock_place(connection: Connection, folder_id: int) -> Place:
    """Nobody else supposes anything of the folder meanwhile, or heals what holds its entries."""
    row = connection.execute(
        text(
            "SELECT fo.id, fo.code, f.id AS firm_id, f.code AS firm_code "
            "FROM folders fo JOIN firms f ON f.id = fo.firm_id "
            "WHERE fo.id = :id FOR KEY SHARE OF f FOR NO KEY UPDATE OF fo"
        ),
        {"id": folder_id},
    ).one()
    return Place(**row._asdict())


_IN_DOUBT = text(f"""
SELECT {DUE} FROM entries e
WHERE e.folder_id = :folder_id AND e.id > :after AND {_FREE}
ORDER BY e.id LIMIT :most FOR UPDATE OF e
""")  # noqa: S608 idem


def in_doubt(connection: Connection, folder_id: int, after: int) -> list[Due]:
    """Entries of a folder that are doubted and may have an attempt, in order of id, locked."""
    values = {"folder_id": folder_id, "after": after, "most": _PAGE}
    return [Due(**row._asdict()) for row in connection.execute(_IN_DOUBT, values)]


_MAY_BE_SENT = {State.RECEIVED, State.WAITING, State.POSTING, State.PARKED}


def suppose(connection: Connection, place: Place, ready: Sequence[Ready]) -> None:
    """Open an attempt for each of these: from now on Loop is asked about them."""
    ids = [one.entry for one in ready]
    held = text("SELECT DISTINCT case_id FROM entries WHERE id = ANY(:ids) AND case_id IS NOT NULL")
    cases = list(connection.execute(held, {"ids": ids}).scalars())
    import_id = open_import(connection, place.firm_id, place.id, ready, supposed=True)
    since = connection.execute(text("SELECT max(since) FROM database_identity")).scalar_one()
    told = f"The database went back to {since}: what was lost may have sent it."
    move(connection, ids, _MAY_BE_SENT, Change(State.UNCERTAIN, message=told, import_id=import_id))
    connection.execute(
        text("UPDATE entries SET doubted = false WHERE id = ANY(:ids)"), {"ids": ids}
    )
    _close_emptied(connection, cases, told)


def _close_emptied(connection: Connection, cases: Sequence[int], why: str) -> None:
    """Cases that hold neither an entry any more nor a firm or folder; another opens if need be.

    Locked in a statement apart: who parks an entry under one of them is seen then.
    """
    connection.execute(
        text("SELECT id FROM cases WHERE id = ANY(:ids) ORDER BY id FOR UPDATE"),
        {"ids": list(cases)},
    )
    emptied = connection.execute(
        text(
            "SELECT id FROM cases c WHERE id = ANY(:ids) AND state = 'open' "
            "AND NOT EXISTS (SELECT FROM entries WHERE case_id = c.id) "
            "AND NOT EXISTS (SELECT FROM folders WHERE held_by = c.id) "
            "AND NOT EXISTS (SELECT FROM firms WHERE held_by = c.id)"
        ),
        {"ids": list(cases)},
    )
    for case_id in emptied.scalars().all():
        mark_closed(connection, case_id, Ending(Act.RELEASED, why=why))
