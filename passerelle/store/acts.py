"""Cases and parked entries as whoever acts on them finds them: locked, what holds them before."""

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import Connection, text

from passerelle.domain.errors import PasserelleError
from passerelle.domain.states import CaseState, Reason, Scope
from passerelle.store.cases import lock_held


class CaseError(PasserelleError):
    """There is no such case, or nothing is to be done about it any more."""


@dataclass(frozen=True, slots=True)
class CaseRow:
    id: int
    firm_id: int
    reason: Reason
    state: CaseState


def lock_case(connection: Connection, case_id: int) -> CaseRow | None:
    """A case, locked; what it holds is locked before, as whoever opens a hold does."""
    lock_held(connection, case_id)
    row = connection.execute(
        text("SELECT id, firm_id, reason, state FROM cases WHERE id = :id FOR UPDATE"),
        {"id": case_id},
    ).one_or_none()
    if row is None:
        return None
    return CaseRow(row.id, row.firm_id, Reason(row.reason), CaseState(row.state))


def lock_open_case(connection: Connection, case_id: int) -> CaseRow:
    """The same of one that somebody acts on.

    Raises:
        CaseError: there is no such case, or it is closed.
    """
    case = lock_case(connection, case_id)
    if case is None:
        raise CaseError(f"There is no case {case_id}.")
    if case.state is not CaseState.OPEN:
        raise CaseError(f"Case {case_id} is {case.state} already.")
    return case


@dataclass(frozen=True, slots=True)
class Parked:
    """A parked entry. `open`: it may be in Loop. `holds`: its case holds the whole `scope`."""

    case: CaseRow
    folder_id: int
    reason: Reason
    scope: Scope
    open: bool
    holds: bool


_PARKED = text("""
SELECT e.folder_id, e.reason, c.scope,
    e.doubted OR EXISTS (
        SELECT FROM attempts a WHERE a.entry = e.id AND a.closed_as IS NULL) AS open,
    e.case_id IN (fo.held_by, f.held_by) IS TRUE AS holds
FROM entries e JOIN cases c ON c.id = e.case_id
JOIN folders fo ON fo.id = e.folder_id JOIN firms f ON f.id = e.firm_id
WHERE e.id = :entry AND e.state = 'parked' AND e.case_id = :case_id
FOR UPDATE OF e
""")


def lock_parked(connection: Connection, entry: int) -> Parked | None:
    """A parked entry, locked behind its case. None: it is not parked."""
    case_id = connection.execute(
        text("SELECT case_id FROM entries WHERE id = :entry"), {"entry": entry}
    ).scalar_one_or_none()
    case = None if case_id is None else lock_case(connection, case_id)
    if case is None:
        return None
    row = connection.execute(_PARKED, {"entry": entry, "case_id": case.id}).one_or_none()
    if row is None:
        return None
    return Parked(case, row.folder_id, Reason(row.reason), Scope(row.scope), row.open, row.holds)


def drop_attachment(connection: Connection, entry: int) -> bool:
    """Take the attachment off an entry; false where it has none."""
    dropped = connection.execute(
        text(
            "UPDATE entries SET entry = entry - 'attachment' "
            "WHERE id = :entry AND entry -> 'attachment' IS NOT NULL"
        ),
        {"entry": entry},
    )
    return dropped.rowcount == 1


def erased_on(connection: Connection, entry: int) -> dt.date | None:
    """The day on which the contents of an entry were erased, in UTC."""
    erased_at: dt.datetime | None = connection.execute(
        text("SELECT erased_at FROM entries WHERE id = :entry"), {"entry": entry}
    ).scalar_one_or_none()
    return None if erased_at is None else erased_at.date()


def held(connection: Connection, case_id: int) -> list[int]:
    """The entries that wait on a case."""
    rows = connection.execute(
        text("SELECT id FROM entries WHERE case_id = :case_id ORDER BY id"), {"case_id": case_id}
    )
    return list(rows.scalars())
