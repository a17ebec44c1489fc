"""What is to be told, noted in the transaction that makes it so (contract section 8).

Of the hub, outcomes are kept whether anybody wants to hear of them or not, so that they can be told
later; of the rest only where there is an address.
"""

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import Connection, text

from passerelle.domain.states import PROBED, TOLD
from passerelle.store.columns import listed
from passerelle.store.outbox_models import MessageType

# An entry that was sent to see whether a refusal is over, and was refused again, is where the hub
# knows it to be, if it was told.
_ENTRIES = text(f"""
INSERT INTO outcomes (firm_id, entry, state, reason, message, case_id)
SELECT e.firm_id, e.id, e.state, e.reason, e.message, e.case_id FROM entries e
WHERE e.id = ANY(:ids) AND e.state IN {listed(sorted(TOLD))} AND NOT (
    e.state = 'parked' AND e.reason IN {listed(sorted(PROBED))} AND EXISTS (
        SELECT FROM (
            SELECT o.* FROM outcomes o WHERE o.entry = e.id ORDER BY o.entry, o.id DESC LIMIT 1) o
        LEFT JOIN endpoints ep ON ep.firm_id = e.firm_id AND ep.audience = 'outcome'
        WHERE (o.state, o.reason, o.message, o.case_id)
            IS NOT DISTINCT FROM (e.state, e.reason, e.message, e.case_id)
          AND (o.sequence IS NOT NULL OR o.id > coalesce(ep.after_id, 0))))
ORDER BY e.id
""")  # noqa: S608 literals


def tell_entries(connection: Connection, ids: Sequence[int]) -> None:
    """Where these entries stand by now, of those whose state the hub is told of."""
    connection.execute(_ENTRIES, {"ids": list(ids)})


@dataclass(frozen=True, slots=True)
class RefusedEntry:
    """What the hub calls an entry that was refused at the door, as far as it can be read.

    `firm_key`: as `registry.code_key` makes it, since that firm's hub wrote its code otherwise.
    """

    firm_key: str
    folder: str | None
    entry_id: str | None
    revision: int | None
    event_id: str | None
    message: str


_REFUSED = text("""
INSERT INTO outcomes (firm_id, folder, entry_id, revision, event_id, state, reason, message)
SELECT id, :folder, :entry_id, :revision, :event_id, 'refused', 'invalid', :message
FROM firms WHERE code_key = :firm_key AND registered_at IS NOT NULL
""")


def tell_refused(connection: Connection, refused: Iterable[RefusedEntry]) -> None:
    """Events of registered firms that were refused; of others there is nobody to tell."""
    rows = [asdict(one) for one in refused]
    if rows:
        connection.execute(_REFUSED, rows)


_CASE = text("""
INSERT INTO messages (firm_id, endpoint_id, type, case_id, seen)
SELECT c.firm_id, ep.id, :type, c.id,
    jsonb_build_object('state', c.state, 'closed_at', c.closed_at)
FROM cases c JOIN endpoints ep ON ep.firm_id = c.firm_id
WHERE c.id = ANY(:ids) AND ep.audience = 'alert' AND ep.url IS NOT NULL ORDER BY c.id
""")


def tell_case(connection: Connection, case_id: int, type_: MessageType) -> None:
    """Something about a case, in the state that it is in now."""
    connection.execute(_CASE, {"ids": [case_id], "type": type_})


class FolderSeen(enum.StrEnum):
    """What may be seen of a folder, contract section 8."""

    REACHABLE = "reachable"
    REFUSED = "refused"
    CHECKED = "checked"


# What the hub was told last of a folder is not told again; what a check found always is.
_FOLDER = text("""
INSERT INTO messages (firm_id, endpoint_id, type, folder_id, seen)
SELECT fo.firm_id, ep.id, 'folder.state', fo.id, seen
FROM folders fo JOIN endpoints ep ON ep.firm_id = fo.firm_id, CAST(:seen AS jsonb) seen
WHERE fo.id = :folder_id AND ep.audience = 'outcome' AND ep.url IS NOT NULL AND (
    seen ->> 'state' = 'checked' OR seen IS DISTINCT FROM (
        SELECT m.seen FROM messages m WHERE m.folder_id = fo.id AND m.seen ->> 'state' <> 'checked'
        ORDER BY m.id DESC LIMIT 1))
""")


def tell_folder(connection: Connection, folder_id: int, seen: Mapping[str, Any]) -> None:
    """What was seen of a folder: its `state` and what belongs to that."""
    connection.execute(_FOLDER, {"folder_id": folder_id, "seen": Jsonb(dict(seen))})


_REMIND = text("""
UPDATE cases SET remind_at = NULL WHERE id IN (
    SELECT id FROM cases WHERE state = 'open' AND remind_at <= now()
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED)
RETURNING id
""")


def remind(connection: Connection) -> None:
    """Tell once more of cases that have been open for a day."""
    open_for_long = list(connection.execute(_REMIND).scalars())
    if open_for_long:
        values = {"ids": open_for_long, "type": MessageType.CASE_REMINDER}
        connection.execute(_CASE, values)


# What is open, and waits to be told already, is told once; what was told to be open, and was
# closed while nobody was told, is told to be over.
_STANDING = text("""
INSERT INTO messages (firm_id, endpoint_id, type, case_id, seen)
SELECT c.firm_id, ep.id, CASE WHEN c.state = 'open' THEN 'case.opened' ELSE 'case.healed' END, c.id,
    jsonb_build_object('state', c.state, 'closed_at', c.closed_at)
FROM cases c JOIN endpoints ep ON ep.firm_id = c.firm_id AND ep.audience = 'alert'
LEFT JOIN LATERAL (
    SELECT m.type, m.told_at FROM messages m
    WHERE m.endpoint_id = ep.id AND m.case_id = c.id ORDER BY m.id DESC LIMIT 1) latest ON true
WHERE c.firm_id = :firm_id AND CASE WHEN c.state = 'open'
    THEN latest.type IS DISTINCT FROM 'case.opened' OR latest.told_at IS NOT NULL
    ELSE latest.type <> 'case.healed' END
ORDER BY c.id
""")


def tell_standing(connection: Connection, firm_id: int) -> None:
    """How a firm's cases stand, to whoever has just been named to be told."""
    connection.execute(_STANDING, {"firm_id": firm_id})
    connection.execute(
        text(
            "UPDATE cases SET remind_at = now() + interval '1 day' WHERE id IN ("
            "SELECT id FROM cases WHERE firm_id = :firm_id AND state = 'open' "
            "ORDER BY id FOR NO KEY UPDATE)"
        ),
        {"firm_id": firm_id},
    )
