"""Cases: one per cause and scope, what they hold, and how they end (engine rules 17 and 18)."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from passerelle.domain.alike import alike
from passerelle.domain.backoff import PROBE_FIRST
from passerelle.domain.states import (
    HOLDING,
    PROBED,
    UNSENT,
    UNSETTLED,
    CaseState,
    Reason,
    Scope,
    State,
)
from passerelle.store import case_history
from passerelle.store.case_history import ITSELF, Act
from passerelle.store.columns import listed
from passerelle.store.outbox import FolderSeen, tell_case, tell_entries, tell_folder
from passerelle.store.outbox_models import MessageType
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
RETURNING id
""")

# Locked, so that nobody closes it before what it holds is committed.
_FIND = text("""
SELECT id FROM cases
WHERE firm_id = :firm_id AND folder_id IS NOT DISTINCT FROM CAST(:folder_id AS bigint)
  AND reason = :reason AND cause = :cause AND state = 'open'
FOR SHARE
""")

# What its end let go on is not settled yet: it is not over (rule 18).
_UNDER_RELEASE = text(f"""
SELECT max(c.id) FROM cases c
WHERE c.firm_id = :firm_id AND c.folder_id IS NOT DISTINCT FROM CAST(:folder_id AS bigint)
  AND c.reason = :reason AND c.cause = :cause AND c.state <> 'open' AND EXISTS (
    SELECT FROM entries e WHERE e.freed_by = c.id AND e.state IN {listed(sorted(UNSETTLED))})
""")  # noqa: S608 literals

# Looked at when the last probe said, as if it had never been closed.
_REOPEN = text("""
UPDATE cases SET state = 'open', closed_at = NULL, rung_at = NULL,
    remind_at = now() + interval '1 day',
    probe_at = greatest(probe_at, now() + make_interval(secs => :first))
WHERE id = :id
""")


def open_case(connection: Connection, cause: Cause) -> int:
    """The open case of this cause; made where there is none, and none is to be opened again."""
    values = {
        "scope": cause.scope,
        "firm_id": cause.firm_id,
        "folder_id": cause.folder_id,
        "reason": cause.reason,
        "cause": cause.cause,
        "message": cause.message,
    }
    while True:
        made = connection.execute(_OPEN, values).scalar_one_or_none()
        if made is not None:
            opened = _reopened(connection, values, made)
            tell_case(connection, opened, MessageType.CASE_OPENED)
            return opened
        found = connection.execute(_FIND, values).scalar_one_or_none()
        # None: it was closed between the two statements; the next round opens another.
        if found is not None:
            return int(found)


def _reopened(connection: Connection, values: dict[str, object], made: int) -> int:
    """Instead of the case just made, the one whose release is under way; else the one made.

    As long as it was there, nobody else could open either.
    """
    found: int | None = connection.execute(_UNDER_RELEASE, values).scalar_one()
    if found is None:
        return made
    connection.execute(text("DELETE FROM cases WHERE id = :id"), {"id": made})
    connection.execute(_REOPEN, {"id": found, "first": PROBE_FIRST})
    case_history.record(connection, found, Act.REOPENED, why=str(values["message"]))
    return found


@dataclass(frozen=True, slots=True)
class Hold:
    """What stands in the open case that holds a firm or a folder.

    `probe_entry`: the one entry that it lets pass, if any (rule 18).
    """

    case_id: int
    reason: Reason
    message: str
    probe_entry: int | None


def hold_of(connection: Connection, case_id: int) -> Hold:
    row = connection.execute(
        text("SELECT id, reason, message, probe_entry FROM cases WHERE id = :id"), {"id": case_id}
    ).one()
    return Hold(row.id, Reason(row.reason), row.message, row.probe_entry)


def hold(connection: Connection, cause: Cause) -> int:
    """Open the case and hold its scope: what is unsent is parked, what comes later, too.

    An entry that was let through to see whether a hold is over has seen that it is not, or that
    another has taken its place.

    The lock on the held row makes intake and mark, which read the hold under a lock of their
    own, see it or come before it.
    """
    table, row = ("firms", cause.firm_id)
    if cause.folder_id is not None:
        _lock_firm(connection, cause.firm_id)
        table, row = ("folders", cause.folder_id)
    holder = connection.execute(
        text(f"SELECT held_by FROM {table} WHERE id = :row FOR UPDATE"),  # noqa: S608 two literals
        {"row": row},
    ).scalar_one()
    case_id = open_case(connection, cause)
    was_passed = connection.execute(_SHUT, {"ids": [case_id, holder]}).scalars().all()
    if holder is None:
        connection.execute(
            text(f"UPDATE {table} SET held_by = :case_id WHERE id = :row"),  # noqa: S608 idem
            {"case_id": case_id, "row": row},
        )
        _tell_refused(connection, cause)
    elif holder in was_passed and holder != case_id and cause.reason in PROBED:
        replace(connection, holder, case_id, cause)
    folders = "SELECT id FROM folders WHERE firm_id = :row" if cause.folder_id is None else ":row"
    unsent = connection.execute(
        text(
            f"SELECT id FROM entries WHERE folder_id IN ({folders}) "  # noqa: S608 idem
            f"AND state IN {listed(sorted(UNSENT))} "
            "AND NOT EXISTS (SELECT 1 FROM attempts WHERE entry = entries.id AND closed_at IS NULL)"
        ),
        {"row": row},
    ).scalars()
    park(connection, list(unsent), cause, case_id)
    return case_id


def _tell_refused(connection: Connection, cause: Cause) -> None:
    if cause.folder_id is not None and cause.reason in PROBED:
        seen = {"state": FolderSeen.REFUSED, "reason": cause.reason, "message": cause.message}
        tell_folder(connection, cause.folder_id, seen)


# Nothing passes any more.
_SHUT = text("""
UPDATE cases SET probe_entry = NULL
WHERE id IN (SELECT id FROM cases WHERE id = ANY(:ids) AND probe_entry IS NOT NULL
             ORDER BY id FOR UPDATE)
RETURNING id
""")
_REPLACED = "Loop now refuses for another reason."


def replace(connection: Connection, old: int, new: int, cause: Cause) -> None:
    """What a case held, another holds: Loop refuses for the other's reason now."""
    moved = connection.execute(
        text(
            "UPDATE entries SET case_id = :new, reason = :reason, message = :message WHERE id IN "
            "(SELECT id FROM entries WHERE case_id = :case_id ORDER BY id FOR UPDATE) RETURNING id"
        ),
        {
            "case_id": old,
            "new": new,
            "reason": cause.reason,
            "message": cause.message,
        },
    )
    tell_entries(connection, list(moved.scalars()))
    _tell_refused(connection, cause)
    mark_closed(connection, old, Ending(Act.HEALED, why=_REPLACED))
    for table in ("firms", "folders"):
        connection.execute(
            text(f"UPDATE {table} SET held_by = :new WHERE held_by = :case_id"),  # noqa: S608 two literals
            {"case_id": old, "new": new},
        )


def _lock_firm(connection: Connection, firm_id: int) -> None:
    """Before any of its folders: so does whoever looks at both holds, or opens one of the firm."""
    connection.execute(text("SELECT id FROM firms WHERE id = :id FOR KEY SHARE"), {"id": firm_id})


# Both rows are locked, so the hold that is read is the one in force once the lock is there.
_UNDER_HOLD = text("""
SELECT e.id, f.held_by AS firm_held_by, fo.held_by
FROM entries e JOIN folders fo ON fo.id = e.folder_id JOIN firms f ON f.id = fo.firm_id
WHERE e.id = ANY(:ids) AND e.state IN ('received', 'waiting')
FOR KEY SHARE OF fo, f
""")


def park_under_hold(connection: Connection, ids: Sequence[int]) -> None:
    """Park those of `ids` that came back unsent while their firm or folder was put on hold."""
    held: dict[int, list[int]] = {}
    # The firm's hold first: what it parks, the folder's finds parked.
    for row in connection.execute(_UNDER_HOLD, {"ids": list(ids)}).all():
        for case_id in (row.firm_held_by, row.held_by):
            if case_id is not None:
                held.setdefault(case_id, []).append(row.id)
    for case_id, entries in held.items():
        found = hold_of(connection, case_id)
        change = Change(State.PARKED, found.reason, found.message, case_id)
        move(connection, [one for one in entries if one != found.probe_entry], UNSENT, change)


def park(connection: Connection, ids: list[int], cause: Cause, case_id: int) -> None:
    """Park unsent entries under a case."""
    move(connection, ids, UNSENT, Change(State.PARKED, cause.reason, cause.message, case_id))


def open_cases(
    connection: Connection, firm_id: int, reasons: Sequence[Reason], folder: str | None = None
) -> list[int]:
    """The firm's open cases of these reasons; those of one of its folders, if its code is given."""
    rows = connection.execute(
        text(
            "SELECT c.id FROM cases c LEFT JOIN folders fo ON fo.id = c.folder_id "
            "WHERE c.firm_id = :firm_id AND c.reason = ANY(:reasons) AND c.state = 'open' "
            "AND (CAST(:folder AS text) IS NULL OR fo.code = :folder) ORDER BY c.id"
        ),
        {"firm_id": firm_id, "reasons": list(reasons), "folder": folder},
    )
    return list(rows.scalars())


def heal(connection: Connection, cause: Cause) -> None:
    """What a case without parked entries was about is over; nothing where there is none."""
    values = {
        "firm_id": cause.firm_id,
        "folder_id": cause.folder_id,
        "reason": cause.reason,
        "cause": cause.cause,
    }
    for case_id in connection.execute(_FIND, values).scalars().all():
        mark_closed(connection, case_id, Ending(Act.HEALED))


def lock_held(connection: Connection, case_id: int) -> None:
    """Lock the firm or folder that a case holds: before any entry, as whoever opens a hold does."""
    firm_id = connection.execute(
        text("SELECT firm_id FROM cases WHERE id = :case_id"), {"case_id": case_id}
    ).scalar_one_or_none()
    if firm_id is None:
        return
    held = connection.execute(
        text("SELECT id FROM firms WHERE held_by = :case_id FOR UPDATE"), {"case_id": case_id}
    )
    if held.first() is None:
        _lock_firm(connection, firm_id)
    connection.execute(
        text("SELECT id FROM folders WHERE held_by = :case_id FOR UPDATE"), {"case_id": case_id}
    )


# Another case that holds the same, if one is open.
_HAND_OVER = """
UPDATE {table} held SET held_by = (
    SELECT min(c.id) FROM cases c
    WHERE {of} AND c.state = 'open' AND c.reason = ANY(:holding))
WHERE held.held_by = :case_id
RETURNING held.id, held.held_by, (SELECT reason FROM cases WHERE id = :case_id) AS reason
"""
_OF_FIRM = text(_HAND_OVER.format(table="firms", of="c.firm_id = held.id AND c.folder_id IS NULL"))
_OF_FOLDER = text(_HAND_OVER.format(table="folders", of="c.folder_id = held.id"))


@dataclass(frozen=True, slots=True)
class Ending:
    """How a case ends: by which act, of whom, and why."""

    act: Act
    who: str = ITSELF
    why: str | None = None


def mark_closed(connection: Connection, case_id: int, ending: Ending) -> bool:
    """Note the end of a case that was open, and nothing else; whether it was."""
    closed = connection.execute(
        text(
            "UPDATE cases SET state = :state, closed_at = now(), probe_entry = NULL "
            "WHERE id = :case_id AND state = 'open'"
        ),
        {"case_id": case_id, "state": CaseState(ending.act)},
    )
    if closed.rowcount:
        case_history.record(connection, case_id, ending.act, ending.who, ending.why)
        tell_case(connection, case_id, MessageType.CASE_HEALED)
    return closed.rowcount == 1


def close_case(connection: Connection, case_id: int, ending: Ending) -> list[tuple[int, int]]:
    """End a case: its hold falls and its entries are `received` again, but for open attempts.

    The freed entries, each with its folder; their revisions are still to be settled.
    """
    lock_held(connection, case_id)
    if not mark_closed(connection, case_id, ending):
        return []
    values = {"case_id": case_id, "holding": sorted(HOLDING)}
    connection.execute(_OF_FIRM, values)
    for row in connection.execute(_OF_FOLDER, values).all():
        # A person's word is not Loop's.
        if row.held_by is None and row.reason in PROBED and ending.act is Act.HEALED:
            tell_folder(connection, row.id, {"state": FolderSeen.REACHABLE})
    freed = connection.execute(
        text(
            "SELECT id FROM entries WHERE case_id = :case_id AND state = 'parked' AND NOT EXISTS "
            "(SELECT 1 FROM attempts WHERE entry = entries.id AND closed_at IS NULL)"
        ),
        {"case_id": case_id},
    ).scalars()
    change = Change(State.RECEIVED, freed_by=case_id)
    moved = move(connection, list(freed), {State.PARKED}, change)
    rows = connection.execute(
        text("SELECT id, folder_id FROM entries WHERE id = ANY(:ids)"), {"ids": moved}
    )
    return [(row.id, row.folder_id) for row in rows]


def refusal(firm_id: int, folder_id: int | None, reason: Reason, message: str) -> Cause:
    """Loop refuses a firm's keys, or refuses a folder: what holds the one or the other."""
    if reason is Reason.CREDENTIALS_REFUSED:
        return Cause(Scope.FIRM, firm_id, None, reason, message)
    return Cause(Scope.FOLDER, firm_id, folder_id, reason, message)


def refused(firm_id: int, folder_id: int, message: str) -> Cause:
    """Loop refuses an entry for what it holds: alike refusals of a folder are one case."""
    reason = Reason.REFUSED_BY_LOOP
    return Cause(Scope.FOLDER, firm_id, folder_id, reason, message, alike(message))


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
