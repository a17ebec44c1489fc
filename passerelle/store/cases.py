"""Cases: one per cause and scope, and what they hold (engine rule 17)."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from passerelle.domain.states import UNSENT, CaseState, Reason, Scope, State
from passerelle.store.transitions import Change, move


@dataclass(frozen=True, slots=True)
class Cause:
    """What a case is about. `cause` tells cases of one reason and scope apart."""

    scope: Scope
    firm_id: int
    folder_id: int | None
    reason: Reason
    message: str
    cause: str = ""


_OPEN = text("""
INSERT INTO cases (scope, firm_id, folder_id, reason, cause, message)
VALUES (:scope, :firm_id, :folder_id, :reason, :cause, :message)
ON CONFLICT (firm_id, folder_id, reason, cause) WHERE state = 'open' DO NOTHING
""")

# Locked, so that nobody closes it before what it holds is committed.
_FIND = text("""
SELECT id FROM cases
WHERE firm_id = :firm_id AND folder_id IS NOT DISTINCT FROM CAST(:folder_id AS bigint)
  AND reason = :reason AND cause = :cause AND state = 'open'
FOR SHARE
""")


def open_case(connection: Connection, cause: Cause) -> int:
    """The open case of this cause; made where there is none."""
    values = {
        "scope": cause.scope,
        "firm_id": cause.firm_id,
        "folder_id": cause.folder_id,
        "reason": cause.reason,
        "cause": cause.cause,
        "message": cause.message,
    }
    while True:
        connection.execute(_OPEN, values)
        found = connection.execute(_FIND, values).scalar_one_or_none()
        # None: it was closed between the two statements; the next round opens another.
        if found is not None:
            return int(found)


@dataclass(frozen=True, slots=True)
class Hold:
    """What stands in the open case that holds a firm or a folder."""

    case_id: int
    reason: Reason
    message: str


def hold_of(connection: Connection, case_id: int) -> Hold:
    row = connection.execute(
        text("SELECT id, reason, message FROM cases WHERE id = :id"), {"id": case_id}
    ).one()
    return Hold(row.id, Reason(row.reason), row.message)


def hold(connection: Connection, cause: Cause) -> int:
    """Open the case and hold its scope: what is unsent is parked, what comes later, too.

    The lock on the held row makes intake and mark, which read the hold under a lock of their
    own, see it or come before it.
    """
    table, row = (
        ("firms", cause.firm_id) if cause.folder_id is None else ("folders", cause.folder_id)
    )
    held_by = connection.execute(
        text(f"SELECT held_by FROM {table} WHERE id = :row FOR UPDATE"),  # noqa: S608 two literals
        {"row": row},
    ).scalar_one()
    case_id = open_case(connection, cause)
    if held_by is None:
        connection.execute(
            text(f"UPDATE {table} SET held_by = :case_id WHERE id = :row"),  # noqa: S608 idem
            {"case_id": case_id, "row": row},
        )
    folders = "SELECT id FROM folders WHERE firm_id = :row" if cause.folder_id is None else ":row"
    # The states as literals: only so the planner knows that the index of what is unsent will do.
    unsent = connection.execute(
        text(
            f"SELECT id FROM entries WHERE folder_id IN ({folders}) "  # noqa: S608 idem
            "AND state IN ('received', 'waiting') "
            "AND NOT EXISTS (SELECT 1 FROM attempts WHERE entry = entries.id AND closed_at IS NULL)"
        ),
        {"row": row},
    ).scalars()
    park(connection, list(unsent), cause, case_id)
    return case_id


# Both rows are locked, so the hold that is read is the one in force once the lock is there.
_UNDER_HOLD = text("""
SELECT e.id, coalesce(f.held_by, fo.held_by) AS held_by
FROM entries e JOIN folders fo ON fo.id = e.folder_id JOIN firms f ON f.id = fo.firm_id
WHERE e.id = ANY(:ids) AND e.state IN ('received', 'waiting')
FOR KEY SHARE OF fo, f
""")


def park_under_hold(connection: Connection, ids: Sequence[int]) -> None:
    """Park those of `ids` that came back unsent while their firm or folder was put on hold."""
    held: dict[int, list[int]] = {}
    for row in connection.execute(_UNDER_HOLD, {"ids": list(ids)}).all():
        if row.held_by is not None:
            held.setdefault(row.held_by, []).append(row.id)
    for case_id, entries in held.items():
        found = hold_of(connection, case_id)
        change = Change(State.PARKED, found.reason, found.message, case_id)
        move(connection, entries, UNSENT, change)


def park(connection: Connection, ids: list[int], cause: Cause, case_id: int) -> None:
    """Park unsent entries under a case."""
    move(connection, ids, UNSENT, Change(State.PARKED, cause.reason, cause.message, case_id))


def open_cases(connection: Connection, firm_id: int, reason: Reason) -> list[int]:
    """The firm's open cases of a reason."""
    rows = connection.execute(
        text(
            "SELECT id FROM cases WHERE firm_id = :firm_id AND reason = :reason "
            "AND state = 'open' ORDER BY id"
        ),
        {"firm_id": firm_id, "reason": reason},
    )
    return list(rows.scalars())


def heal(connection: Connection, cause: Cause) -> None:
    """What a case without parked entries was about is over; nothing where there is none."""
    connection.execute(
        text(
            "UPDATE cases SET state = 'healed', closed_at = now() WHERE firm_id = :firm_id "
            "AND folder_id = :folder_id AND reason = :reason AND cause = :cause AND state = 'open'"
        ),
        {
            "firm_id": cause.firm_id,
            "folder_id": cause.folder_id,
            "reason": cause.reason,
            "cause": cause.cause,
        },
    )


def lock_held(connection: Connection, case_id: int) -> None:
    """Lock the firm or folder that a case holds: before any entry, as whoever opens a hold does."""
    for table in ("firms", "folders"):
        connection.execute(
            text(f"SELECT id FROM {table} WHERE held_by = :case_id FOR UPDATE"),  # noqa: S608 two literals
            {"case_id": case_id},
        )


def close_case(connection: Connection, case_id: int, state: CaseState) -> list[tuple[int, int]]:
    """End a case: its hold falls and its entries are `received` again, but for open attempts.

    The freed entries, each with its folder; their revisions are still to be settled.
    """
    lock_held(connection, case_id)
    closed = connection.execute(
        text(
            "UPDATE cases SET state = :state, closed_at = now() "
            "WHERE id = :case_id AND state = 'open'"
        ),
        {"case_id": case_id, "state": state},
    )
    if closed.rowcount == 0:
        return []
    for table in ("firms", "folders"):
        connection.execute(
            text(f"UPDATE {table} SET held_by = NULL WHERE held_by = :case_id"),  # noqa: S608 idem
            {"case_id": case_id},
        )
    freed = connection.execute(
        text(
            "SELECT id FROM entries WHERE case_id = :case_id AND state = 'parked' AND NOT EXISTS "
            "(SELECT 1 FROM attempts WHERE entry = entries.id AND closed_at IS NULL)"
        ),
        {"case_id": case_id},
    ).scalars()
    moved = move(connection, list(freed), {State.PARKED}, Change(State.RECEIVED))
    rows = connection.execute(
        text("SELECT id, folder_id FROM entries WHERE id = ANY(:ids)"), {"ids": moved}
    )
    return [(row.id, row.folder_id) for row in rows]


def refusal(firm_id: int, folder_id: int, reason: Reason, message: str) -> Cause:
    """Loop refuses a firm's keys, or refuses a folder: what holds the one or the other."""
    if reason is Reason.CREDENTIALS_REFUSED:
        return Cause(Scope.FIRM, firm_id, None, reason, message)
    return Cause(Scope.FOLDER, firm_id, folder_id, reason, message)


def of_entry(firm_id: int, folder_id: int, entry: int, reason: Reason, message: str) -> Cause:
    """What concerns one entry alone: a case of its own for each."""
    return Cause(Scope.ENTRY, firm_id, folder_id, reason, message, cause=f"entry {entry}")


def collision(firm_id: int, folder_id: int, code: str, short: str) -> Cause:
    """Two auxiliary codes of a folder that the cut makes equal: the second's entries wait."""
    return Cause(
        Scope.FOLDER,
        firm_id,
        folder_id,
        Reason.AUXILIARY_COLLISION,
        f"Auxiliary code {code} would be cut to {short}, which another code of the folder has.",
        cause=code,
    )
