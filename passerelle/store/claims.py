"""Claim, mark, record: the short transactions around a POST (engine rules 1 to 6 and 22).

Every time is the database's.
"""

import datetime as dt
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import Connection, text

from passerelle.domain.states import UNSENT, State
from passerelle.store.identity import confirmed
from passerelle.store.pauses import IS_READY, IS_UP, MAY_CALL, lets_pass
from passerelle.store.revisions import settle
from passerelle.store.transitions import Change, move


@dataclass(frozen=True, slots=True)
class Due:
    """An entry whose turn has come; `entry` is the event's JSON."""

    id: int
    entry_id: str
    entry: dict[str, Any]
    line_count: int
    half: uuid.UUID | None
    came_at: dt.datetime
    # Since when it has been known to lack something, if it was.
    lacking_since: dt.datetime | None


# Of `entries e`: the fields of a Due.
DUE = "e.id, e.entry_id, e.entry, e.line_count, e.half, e.received_at AS came_at, e.lacking_since"


@dataclass(frozen=True, slots=True)
class FolderRow:
    """A folder and its firm's sealed credentials, as a delivery needs them."""

    id: int
    code: str
    registered: bool
    create_accounts: bool
    firm_id: int
    firm_code: str
    api_key: bytes
    api_secret: bytes
    subscription_key: bytes


RUNG_APART = 5.0
"""Seconds before a bell is taken for lost and rung again."""

# Of `folders fo`: no bell is on its way to it; and who has waited longest for a request.
IS_SILENT = "(fo.rung_at IS NULL OR fo.rung_at <= now() - make_interval(secs => :apart))"
LEAST_RECENT = "fo.gather_until NULLS FIRST, fo.id"

# Of `entries e`: no revision of it has an attempt whose end is open.
_NO_ATTEMPT = """
NOT EXISTS (
    SELECT FROM attempts a WHERE a.firm_id = e.firm_id AND a.folder_id = e.folder_id
      AND a.entry_id = e.entry_id AND a.closed_at IS NULL {fence})
"""
HAS_NO_ATTEMPT = _NO_ATTEMPT.format(fence="")
# Nothing of it is on its way, be it this revision or another, nor may have been sent unknown to
# anybody (rules 2, 20 and 23). OFFSET 0: looked for by the whole key. Joined, PostgreSQL may go
# through all that is open in the folder, for each entry, after a quiet hour in which there was
# nothing.
MAY_BE_SENT = f"""
NOT e.doubted AND {_NO_ATTEMPT.format(fence="OFFSET 0")} AND NOT EXISTS (
    SELECT FROM entries other
    WHERE other.firm_id = e.firm_id AND other.folder_id = e.folder_id
      AND other.entry_id = e.entry_id AND other.id <> e.id
      AND (other.state = 'posting' OR other.doubted) OFFSET 0)
"""
_CLAIMABLE = f"""
e.state IN ('received', 'waiting') AND e.due_at <= now() AND {MAY_BE_SENT}
"""

# Of `folders fo`: Loop has lately done what it took, or so few requests wait for their end that
# their refusal costs little; what hangs there counts for a minute.
_IS_PROVEN = """
((SELECT max(i.ended_at) FROM imports i WHERE i.folder_id = fo.id AND i.status = 3)
    > now() - interval '1 h'
 OR 4 > (SELECT count(*) FROM (
    SELECT FROM imports i WHERE i.folder_id = fo.id
      AND i.poll_at IS NOT NULL AND i.sent_at > now() - interval '1 min' LIMIT 4) awaited))
"""

# Of `folders fo`: something waits for a request, and the folder may have one. Not EXISTS:
# PostgreSQL, expecting many, would look for one through the table, all of it where there is none.
# In order, it takes the index. Of the many folders where nothing waits nothing else is looked at.
_IS_WANTED = f"""
CASE WHEN (SELECT e.id FROM entries e WHERE e.folder_id = fo.id AND {_CLAIMABLE}
           ORDER BY e.due_at, e.id LIMIT 1) IS NOT NULL THEN {_IS_PROVEN} ELSE false END
"""  # noqa: S608 literals of this module

# Of `folders fo`: no hold stands against a delivery, and nobody is at it.
IS_FREE = f"{lets_pass('fo')} AND (fo.lease_until IS NULL OR fo.lease_until <= now())"

# Of `folders fo`, worth a request: nothing is gathering, or a whole batch has gathered. Entries
# gather until the time for it is over, or since the first has waited for so long; where more keep
# coming (the last within a third of that time), gather on, to the limit. What comes when the time
# is over is not kept. Looks at no more entries than fit a batch, which have two lines at least.
IS_WORTH = f"""
{_IS_WANTED}
AND (fo.gather_until IS NULL OR coalesce(fo.gather_limit, fo.gather_until) <= now() OR (
    SELECT sum(line_count) >= :lines OR min(due_at) > fo.gather_until
        OR least(fo.gather_until, min(due_at) + (fo.gather_limit - fo.gather_until) / 2) <= now()
            AND max(due_at) <= now() - (fo.gather_limit - fo.gather_until) / 6
    FROM (
        SELECT e.line_count, e.due_at FROM entries e
        WHERE e.folder_id = fo.id AND e.state IN ('received', 'waiting') AND e.due_at <= now()
          AND NOT e.doubted
        ORDER BY e.due_at, e.id LIMIT :lines / 2 + 1) front))
"""  # noqa: S608 literals of this module

_LEASE_FOLDER = text(f"""
UPDATE folders fo SET
    lease = :lease, lease_until = now() + make_interval(secs => :seconds), rung_at = NULL
FROM firms f
WHERE fo.id = :folder_id AND f.id = fo.firm_id AND {MAY_CALL} AND {IS_FREE} AND {IS_WORTH}
RETURNING fo.id, fo.code, fo.registered_at IS NOT NULL AS registered, fo.create_accounts,
    f.id AS firm_id, f.code AS firm_code, f.api_key, f.api_secret, f.subscription_key
""")  # noqa: S608 idem


def lease_folder(
    connection: Connection, folder_id: int, lease: uuid.UUID, seconds: float, lines: int
) -> FolderRow | None:
    """Take the folder's turn, where a request is worth it and nothing stands against it.

    `lines` make a whole batch.
    """
    row = connection.execute(
        _LEASE_FOLDER,
        {"folder_id": folder_id, "lease": lease, "seconds": seconds, "lines": lines},
    ).one_or_none()
    return None if row is None else FolderRow(**row._asdict())


def heard(connection: Connection, folder_id: int) -> None:
    """A bell came when the folder could not be taken: the next need not wait for it."""
    connection.execute(
        text("UPDATE folders SET rung_at = NULL WHERE id = :folder_id AND rung_at IS NOT NULL"),
        {"folder_id": folder_id},
    )


def release_folder(
    connection: Connection, folder_id: int, lease: uuid.UUID, gather: float | None
) -> None:
    """Give the turn back; entries gather for so many seconds before the next request, and while
    more keep coming for three times as many.

    None where no request was made: the folder keeps its place among those that wait.
    """
    connection.execute(
        text(
            "UPDATE folders SET lease = NULL, lease_until = NULL, "
            "gather_until = coalesce(now() + make_interval(secs => :gather), gather_until), "
            "gather_limit = coalesce(now() + make_interval(secs => 3 * :gather), gather_limit) "
            "WHERE id = :folder_id AND lease = :lease"
        ),
        {"folder_id": folder_id, "lease": lease, "gather": gather},
    )


_NEXT = text(f"""
UPDATE folders SET rung_at = now() WHERE id = (
    SELECT fo.id FROM folders fo JOIN firms f ON f.id = fo.firm_id
    WHERE f.id = :firm_id AND {MAY_CALL} AND {IS_FREE} AND {IS_SILENT} AND {IS_WORTH}
    ORDER BY {LEAST_RECENT} LIMIT 1 FOR NO KEY UPDATE OF fo SKIP LOCKED)
RETURNING id
""")  # noqa: S608 idem


def next_folder(connection: Connection, firm_id: int, lines: int) -> int | None:
    """Of the firm's folders that wait for a request, the one that has waited longest."""
    values = {"firm_id": firm_id, "lines": lines, "apart": RUNG_APART}
    return connection.execute(_NEXT, values).scalar_one_or_none()


_WORTH_NOW = text(f"SELECT {IS_WORTH} FROM folders fo WHERE fo.id = :folder_id")  # noqa: S608 idem


def is_worth(connection: Connection, folder_id: int, lines: int) -> bool:
    """Whether a request for the folder is worth it now."""
    return bool(
        connection.execute(_WORTH_NOW, {"folder_id": folder_id, "lines": lines}).scalar_one()
    )


_UNDISTURBED = text(f"""
SELECT f.held_by AS firm_held_by, fo.held_by FROM folders fo JOIN firms f ON f.id = fo.firm_id
WHERE fo.id = :folder_id AND fo.lease = :lease AND fo.lease_until > now() AND {IS_READY} AND {IS_UP}
FOR KEY SHARE OF f, fo
""")  # noqa: S608 literals of a module beside this one


@dataclass(frozen=True, slots=True)
class _Passage:
    """What may be sent: anything, or under a hold the one entry that was sent to see."""

    only: int | None = None


def _passage(connection: Connection, folder_id: int, lease: uuid.UUID) -> _Passage | None:
    """None where the folder's turn is not ours any more, or a hold, a pause or an outage has come.

    Comes before any entry is locked: who opens a hold locks the folder first, too. What passes is
    asked in a statement of its own, behind the lock: a hold that was waited for is seen.
    """
    row = connection.execute(_UNDISTURBED, {"folder_id": folder_id, "lease": lease}).one_or_none()
    if row is None:
        return None
    holders = [case_id for case_id in (row.firm_held_by, row.held_by) if case_id is not None]
    if not holders:
        return _Passage()
    passing = connection.execute(
        text("SELECT probe_entry FROM cases WHERE id = ANY(:ids)"), {"ids": holders}
    )
    entries = set(passing.scalars())
    only = entries.pop() if len(entries) == 1 else None
    return None if only is None else _Passage(only)


_DUE = text(f"""
SELECT {DUE} FROM entries e
WHERE e.folder_id = :folder_id AND {_CLAIMABLE}
  AND (CAST(:only AS bigint) IS NULL OR e.id = :only)
ORDER BY e.due_at, e.id LIMIT :most FOR UPDATE OF e SKIP LOCKED
""")  # noqa: S608 idem


def claim(
    connection: Connection, folder_id: int, lease: uuid.UUID, seconds: float, lines: int
) -> list[Due]:
    """Due entries of a folder, in order, up to so many lines (one at least), now `posting`.

    None where the lease has run out or a hold has come. The halves of a refused request go by
    themselves, or the halving would never end.
    """
    passage = _passage(connection, folder_id, lease)
    if passage is None:
        return []
    # An entry has two lines at least.
    rows = connection.execute(
        _DUE, {"folder_id": folder_id, "most": max(1, lines // 2), "only": passage.only}
    )
    chosen: list[Due] = []
    total = 0
    for row in rows:
        due = Due(**row._asdict())
        if chosen and due.half != chosen[0].half:
            continue
        total += due.line_count
        if chosen and total > lines:
            break
        chosen.append(due)
    ids = [due.id for due in chosen]
    # Two revisions that came at the same moment did not see each other.
    settle(connection, ids)
    posting = Change(State.POSTING, lease=lease, lease_seconds=seconds)
    claimed = set(move(connection, ids, UNSENT, posting))
    return [due for due in chosen if due.id in claimed]


def auxiliary_loop_codes(
    connection: Connection, firm_id: int, folder_id: int, codes: Sequence[str]
) -> dict[str, str]:
    """What goes to Loop for these normalised codes; a code without one collides with another."""
    rows = connection.execute(
        text(
            "SELECT code, loop_code FROM auxiliary_codes "
            "WHERE firm_id = :firm_id AND folder_id = :folder_id AND code = ANY(:codes)"
        ),
        {"firm_id": firm_id, "folder_id": folder_id, "codes": list(codes)},
    )
    return {row.code: row.loop_code for row in rows}


@dataclass(frozen=True, slots=True)
class Ready:
    """A mapped entry: `encoded` is a JSON array of exactly the lines that will be sent, `cuts` are
    as the contract tells them.

    `count_before`: how often an entry with the same `twin_key` is in Loop, where that was asked.
    """

    entry: int
    entry_id: str
    encoded: bytes
    cuts: list[dict[str, Any]]
    twin_key: bytes
    count_before: int | None = None

    @property
    def lines(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.encoded)
        return found


_STILL_OURS = text("""
SELECT id FROM entries WHERE id = ANY(:ids) AND state = 'posting' AND lease = :lease
  AND lease_until > now() AND NOT doubted ORDER BY id FOR UPDATE
""")

_MARKED_AT_ONCE = 50
"""Attempts in a statement: a connection keeps the room that its largest statement took."""

_ATTEMPTS = text("""
INSERT INTO attempts (
    firm_id, folder_id, import_id, entry, entry_id, lines, twin_key, count_before)
SELECT :firm_id, :folder_id, :import_id, entry, entry_id, lines, twin_key, counted
FROM ROWS FROM (
    unnest(
        CAST(:ids AS bigint[]), CAST(:entry_ids AS text[]), CAST(:twin_keys AS bytea[]),
        CAST(:counts AS int[])),
    jsonb_array_elements(CAST(:lines AS jsonb))
) AS ready(entry, entry_id, twin_key, counted, lines)
""")

_CUTS = text("""
UPDATE entries e SET cuts = v.cuts
FROM jsonb_to_recordset(CAST(:cuts AS jsonb)) AS v(id bigint, cuts jsonb)
WHERE e.id = v.id AND e.cuts <> v.cuts
""")


def mark(
    connection: Connection, folder: FolderRow, lease: uuid.UUID, ready: Sequence[Ready]
) -> int | None:
    """The mark: from its commit on, these entries may be in Loop. The import's id.

    None where the lease has run out, a hold has come or the database went back: then nothing may
    be sent.
    """
    passage = _passage(connection, folder.id, lease)
    ids = [one.entry for one in ready]
    if passage is None or (passage.only is not None and ids != [passage.only]):
        return None
    ours = connection.execute(_STILL_OURS, {"ids": ids, "lease": lease}).scalars().all()
    # Behind the first touch of an entry, as `identity.doubt` wants it.
    if len(ours) != len(ids) or not confirmed(connection):
        return None
    return open_import(connection, folder.firm_id, folder.id, ready)


def open_import(
    connection: Connection,
    firm_id: int,
    folder_id: int,
    ready: Sequence[Ready],
    *,
    supposed: bool = False,
) -> int:
    """An import request that these entries may be in Loop by; its id."""
    import_id: int = connection.execute(
        text(
            "INSERT INTO imports (firm_id, folder_id, supposed) "
            "VALUES (:firm_id, :folder_id, :supposed) RETURNING id"
        ),
        {"firm_id": firm_id, "folder_id": folder_id, "supposed": supposed},
    ).scalar_one()
    for start in range(0, len(ready), _MARKED_AT_ONCE):
        some = ready[start : start + _MARKED_AT_ONCE]
        connection.execute(
            _ATTEMPTS,
            {
                "firm_id": firm_id,
                "folder_id": folder_id,
                "import_id": import_id,
                "ids": [one.entry for one in some],
                "entry_ids": [one.entry_id for one in some],
                "lines": f"[{b','.join(one.encoded for one in some).decode()}]",
                "twin_keys": [one.twin_key for one in some],
                "counts": [one.count_before for one in some],
            },
        )
    connection.execute(
        _CUTS, {"cuts": Jsonb([{"id": one.entry, "cuts": one.cuts} for one in ready])}
    )
    return import_id
