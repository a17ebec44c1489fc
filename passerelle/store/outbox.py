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

from passerelle.domain.states import TOLD
from passerelle.store.columns import listed
from passerelle.store.outbox_models import Audience, MessageType

_ENTRIES = text(f"""
INSERT INTO outcomes (firm_id, entry, state, reason, message, case_id)
SELECT firm_id, id, state, reason, message, case_id FROM entries
WHERE id = ANY(:ids) AND state IN {listed(sorted(TOLD))} ORDER BY id
""")  # noqa: S608 literals


def tell_entries(connection: Connection, ids: Sequence[int]) -> None:
    """Where these entries stand by now, of those whose state the hub is told of."""
    connection.execute(_ENTRIES, {"ids": list(ids)})


@dataclass(frozen=True, slots=True)
class RefusedEntry:
    """What the hub calls an entry that was refused at the door, as far as it can be read."""

    firm: str
    folder: str | None
    entry_id: str | None
    revision: int | None
    event_id: str | None
    message: str


_REFUSED = text("""
INSERT INTO outcomes (firm_id, folder, entry_id, revision, event_id, state, reason, message)
SELECT id, :folder, :entry_id, :revision, :event_id, 'refused', 'invalid', :message
FROM firms WHERE code = :firm AND registered_at IS NOT NULL
""")


def tell_refused(connection: Connection, refused: Iterable[RefusedEntry]) -> None:
    """Events of registered firms that were refused; of others there is nobody to tell."""
    rows = [asdict(one) for one in refused]
    if rows:
        connection.execute(_REFUSED, rows)


_MESSAGE = """
INSERT INTO messages (firm_id, endpoint_id, type, {column}, seen)
SELECT told.firm_id, ep.id, CAST(:type AS text), told.id, CAST(:seen AS jsonb)
FROM {table} told JOIN endpoints ep ON ep.firm_id = told.firm_id
WHERE told.id = ANY(:ids) AND ep.audience = :audience AND ep.url IS NOT NULL ORDER BY told.id
"""
_CASE = text(_MESSAGE.format(table="cases", column="case_id"))
_FOLDER = text(_MESSAGE.format(table="folders", column="folder_id"))


def tell_case(connection: Connection, case_id: int, type_: MessageType) -> None:
    """Something about a case; it goes as it stands when it is sent."""
    _tell_cases(connection, [case_id], type_)


def _tell_cases(connection: Connection, ids: Sequence[int], type_: MessageType) -> None:
    values = {"ids": list(ids), "type": type_, "audience": Audience.ALERT, "seen": None}
    connection.execute(_CASE, values)


class FolderSeen(enum.StrEnum):
    """What may be seen of a folder, contract section 8."""

    REACHABLE = "reachable"
    REFUSED = "refused"
    CHECKED = "checked"


def tell_folder(connection: Connection, folder_id: int, seen: Mapping[str, Any]) -> None:
    """What was seen of a folder: its `state` and what belongs to that."""
    values = {"ids": [folder_id], "type": MessageType.FOLDER_STATE, "audience": Audience.OUTCOME}
    connection.execute(_FOLDER, values | {"seen": Jsonb(dict(seen))})


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
        _tell_cases(connection, open_for_long, MessageType.CASE_REMINDER)


def tell_open_cases(connection: Connection, firm_id: int) -> None:
    """All that a firm has open, to whoever has just been named to be told."""
    ids = connection.execute(
        text("SELECT id FROM cases WHERE firm_id = :firm_id AND state = 'open'"),
        {"firm_id": firm_id},
    )
    _tell_cases(connection, list(ids.scalars()), MessageType.CASE_OPENED)
