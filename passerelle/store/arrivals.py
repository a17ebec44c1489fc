"""What intake reads and writes, many events at a time."""

import datetime as dt
import hashlib
import json
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self

from psycopg.types.json import Jsonb
from sqlalchemy import Connection, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from passerelle.domain.arrival import Known
from passerelle.domain.event import Fault
from passerelle.domain.states import Reason, State
from passerelle.store.deployment import refused_events
from passerelle.store.models import events
from passerelle.store.outbox import RefusedEntry, tell_entries, tell_refused
from passerelle.store.registry import code_key


def seen_events(connection: Connection, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, bytes]:
    """The fingerprints of those event ids that were taken in before."""
    rows = connection.execute(
        select(events.c.event_id, events.c.fingerprint).where(events.c.event_id.in_(ids))
    )
    return {row.event_id: row.fingerprint for row in rows}


Name = tuple[int, int, str]
"""An entry, whatever its revision: its firm's id, its folder's, and the hub's entry id."""

_REVISIONS = text("""
SELECT e.firm_id, e.folder_id, e.entry_id, e.id, e.revision, e.state, e.fingerprint, e.doubted
FROM entries e JOIN unnest(
    CAST(:firm_ids AS bigint[]), CAST(:folder_ids AS bigint[]), CAST(:ids AS text[])
) AS named(firm_id, folder_id, entry_id) USING (firm_id, folder_id, entry_id)
ORDER BY e.id FOR UPDATE OF e
""")


def lock_revisions(connection: Connection, names: Collection[Name]) -> dict[Name, list[Known]]:
    """All revisions of these entries.

    Locked: what ends one of them either is seen here, or waits and then sees what arrives here.
    """
    firms, folders, ids = map(list, zip(*names, strict=True))
    found: dict[Name, list[Known]] = {}
    for row in connection.execute(
        _REVISIONS, {"firm_ids": firms, "folder_ids": folders, "ids": ids}
    ):
        found.setdefault((row.firm_id, row.folder_id, row.entry_id), []).append(
            Known(row.id, row.revision, State(row.state), row.fingerprint, row.doubted)
        )
    return found


@dataclass(frozen=True, slots=True)
class NewEntry:
    """A row to be. `entry` is the event's own JSON."""

    firm_id: int
    folder_id: int
    entry_id: str
    revision: int
    event_id: uuid.UUID
    occurred_at: dt.datetime
    entry: dict[str, Any]
    fingerprint: bytes
    event_fingerprint: bytes
    line_count: int
    state: State
    reason: Reason | None = None
    message: str | None = None
    case_id: int | None = None


# One statement for all tables: a row of each costs more on its way than in the database. What
# arrived together is due together, in order of id.
_INSERT = text("""
WITH arriving AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(
        position int, firm_id bigint, folder_id bigint, entry_id text, revision int, event_id uuid,
        occurred_at timestamptz, entry jsonb, fingerprint text, event_fingerprint text,
        line_count int, state text, reason text, message text, case_id bigint)
), inserted AS (
    INSERT INTO entries (
        firm_id, folder_id, entry_id, revision, event_id, occurred_at, entry, fingerprint,
        line_count, state, reason, message, case_id)
    SELECT firm_id, folder_id, entry_id, revision, event_id, occurred_at, entry,
        decode(fingerprint, 'hex'), line_count, state, reason, message, case_id
    FROM arriving ORDER BY position
    RETURNING id, firm_id, event_id, state, reason, message
), noted AS (
    INSERT INTO transitions (firm_id, entry, to_state, reason, message)
    SELECT firm_id, id, state, reason, message FROM inserted ORDER BY id
), remembered AS (
    INSERT INTO events (event_id, fingerprint, firm_id, entry)
    SELECT event_id, decode(event_fingerprint, 'hex'), inserted.firm_id, id
    FROM inserted JOIN arriving USING (event_id)
)
SELECT id FROM inserted ORDER BY id
""")


def insert_entries(connection: Connection, rows: Sequence[NewEntry]) -> list[int]:
    """Their ids, in the same order, each with its first transition and its event."""
    values = [
        {
            "position": position,
            **{name: getattr(row, name) for name in NewEntry.__slots__},
            "event_id": str(row.event_id),
            "occurred_at": row.occurred_at.isoformat(),
            "fingerprint": row.fingerprint.hex(),
            "event_fingerprint": row.event_fingerprint.hex(),
        }
        for position, row in enumerate(rows)
    ]
    ids = list(connection.execute(_INSERT, {"rows": Jsonb(values)}).scalars())
    if any(row.state is not State.RECEIVED for row in rows):
        tell_entries(connection, ids)
    return ids


def insert_event(
    connection: Connection, event_id: uuid.UUID, fingerprint: bytes, firm_id: int, entry: int
) -> None:
    """Remember another event of an entry that is known."""
    connection.execute(
        insert(events).values(
            event_id=event_id, fingerprint=fingerprint, firm_id=firm_id, entry=entry
        )
    )


_REPLACE_ATTACHMENT = text("""
UPDATE entries e SET occurred_at = :occurred_at, entry = (e.entry - 'attachment') ||
    jsonb_strip_nulls(jsonb_build_object('attachment', CAST(:attachment AS jsonb)))
FROM entries before
WHERE e.id = :entry AND before.id = e.id AND e.occurred_at <= :occurred_at
  AND e.state IN ('received', 'waiting', 'posting', 'parked') AND NOT EXISTS (
    SELECT FROM attempts WHERE attempts.entry = e.id AND closed_as IS NULL)
RETURNING e.state = 'parked' AND e.reason = 'attachment_expired' AND NOT e.doubted
    AND e.entry -> 'attachment' IS DISTINCT FROM before.entry -> 'attachment' AS cured
""")


def replace_attachment(
    connection: Connection, entry: int, attachment: dict[str, Any] | None, occurred_at: dt.datetime
) -> bool:
    """Keep the newer link as long as nothing of the entry can be on its way to Loop.

    Whether that cures it: it is parked for its link alone, and this is another.
    """
    cured = connection.execute(
        _REPLACE_ATTACHMENT,
        {
            "entry": entry,
            "attachment": None if attachment is None else Jsonb(attachment),
            "occurred_at": occurred_at,
        },
    ).scalar_one_or_none()
    return bool(cured)


Auxiliary = tuple[int, int, str]
"""A firm's id, its folder's, and a normalised auxiliary code there."""

_KNOWN_CODES = text("""
SELECT firm_id, folder_id, code FROM auxiliary_codes JOIN unnest(
    CAST(:firm_ids AS bigint[]), CAST(:folder_ids AS bigint[]), CAST(:codes AS text[])
) AS wanted(firm_id, folder_id, code) USING (firm_id, folder_id, code)
""")

# Not what another code's entries wait for that came before.
_ADD_CODES = text("""
INSERT INTO auxiliary_codes (firm_id, folder_id, code, loop_code)
SELECT firm_id, folder_id, code, short FROM unnest(
    CAST(:firm_ids AS bigint[]), CAST(:folder_ids AS bigint[]), CAST(:codes AS text[]),
    CAST(:shorts AS text[])
) WITH ORDINALITY AS new(firm_id, folder_id, code, short, position) WHERE NOT EXISTS (
    SELECT FROM cases c WHERE c.firm_id = new.firm_id AND c.folder_id = new.folder_id
      AND c.reason = :collision AND c.cause = new.code AND c.state = 'open')
ORDER BY position
ON CONFLICT DO NOTHING RETURNING firm_id, folder_id, code
""")


def register_auxiliaries(connection: Connection, codes: Mapping[Auxiliary, str]) -> set[Auxiliary]:
    """Give each normalised code its short code (`codes`: from whole to short).

    Gives those that get none, because another code of the folder has the same short code, or had
    it when entries came that still wait: what comes now would overtake them.
    """
    missing = _unknown(connection, codes.keys())
    if not missing:
        return missing
    # In the order of arrival where short codes are equal: the first keeps it. By short code
    # otherwise, or two intakes could wait for each other.
    in_order = sorted(
        ((*one, short) for one, short in codes.items() if one in missing),
        key=lambda row: (row[1], row[3]),
    )
    firms, folders, names, shorts = map(list, zip(*in_order, strict=True))
    added = connection.execute(
        _ADD_CODES,
        {
            "firm_ids": firms,
            "folder_ids": folders,
            "codes": names,
            "shorts": shorts,
            "collision": Reason.AUXILIARY_COLLISION,
        },
    )
    # Of the rest another intake may have added some meanwhile.
    return _unknown(connection, missing - {tuple(row) for row in added})


def _unknown(connection: Connection, codes: Collection[Auxiliary]) -> set[Auxiliary]:
    if not codes:
        return set()
    firms, folders, names = map(list, zip(*codes, strict=True))
    values = {"firm_ids": firms, "folder_ids": folders, "codes": names}
    return set(codes) - {tuple(row) for row in connection.execute(_KNOWN_CODES, values)}


def encode(raw: object) -> bytes:
    """A decoded message as JSON text again. ASCII: lone surrogates stay what they were."""

    def dump() -> bytes:
        return json.dumps(raw, default=str).encode("ascii")

    try:
        return dump()
    except RecursionError:
        # Nested as deep as the decoder could just follow, which had less of the stack behind it.
        # A new thread has nothing behind it.
        with ThreadPoolExecutor(1) as fresh:
            return fresh.submit(dump).result()


_CODE_LENGTH = 64
_MOST_REVISIONS = 2**31 - 1
_MESSAGE_LENGTH = 2_000


@dataclass(frozen=True, slots=True)
class Refused:
    """A refused event: `errors` are `{path, message}`, `content_hash` SHA-256 of the body."""

    content_hash: bytes
    body: bytes
    event_id: str | None
    errors: list[dict[str, str]]
    # For the hub; None where no firm can be read.
    told: RefusedEntry | None = None

    @classmethod
    def of(cls, body: bytes, found: Sequence[Fault], raw: object = None) -> Self:
        """`raw` is what the body says, where it may be an event."""
        event_id = raw.get("event_id") if isinstance(raw, dict) else None
        try:
            shown = str(uuid.UUID(event_id)) if isinstance(event_id, str) else None
        except ValueError:
            shown = None
        return cls(
            content_hash=hashlib.sha256(body).digest(),
            body=body,
            event_id=shown,
            errors=[{"path": fault.path, "message": fault.message} for fault in found],
            told=_told(raw, shown, found) if isinstance(raw, dict) else None,
        )


def _told(raw: dict[str, Any], event_id: str | None, found: Sequence[Fault]) -> RefusedEntry | None:
    """What of a wrong event tells the hub which it is."""
    entry = raw.get("entry")
    entry = entry if isinstance(entry, dict) else {}
    firm, revision = _code(raw.get("firm")), entry.get("revision")
    if firm is None:
        return None
    return RefusedEntry(
        firm_key=code_key(firm),
        folder=_code(raw.get("folder")),
        entry_id=_code(entry.get("id")),
        revision=revision if type(revision) is int and 0 < revision <= _MOST_REVISIONS else None,
        event_id=event_id,
        message="; ".join(f"{fault.path}: {fault.message}" for fault in found)[:_MESSAGE_LENGTH],
    )


def _code(value: object) -> str | None:
    """A value that may be a code and that the database takes; None for anything else."""
    if isinstance(value, str) and len(value) <= _CODE_LENGTH and value.isprintable():
        return value
    return None


def keep_refused(connection: Connection, rows: Iterable[Refused]) -> None:
    """Keep refused events whole; one delivered again is counted. The hub is told each time."""
    in_order = sorted(rows, key=lambda refused: refused.content_hash)
    for row in in_order:
        statement = upsert(refused_events).values(
            content_hash=row.content_hash,
            body=row.body,
            event_id=row.event_id,
            errors=row.errors,
        )
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["content_hash"],
                set_={
                    "deliveries": refused_events.c.deliveries + 1,
                    "last_received_at": func.now(),
                    # The verdict may depend on what else is known by now.
                    "errors": statement.excluded.errors,
                    "taken_in_at": None,
                },
            )
        )
    tell_refused(connection, [row.told for row in in_order if row.told is not None])


def mark_taken_in(connection: Connection, content_hashes: Collection[bytes]) -> None:
    """A body refused before was accepted now."""
    connection.execute(
        update(refused_events)
        .where(refused_events.c.content_hash.in_(content_hashes))
        .values(taken_in_at=func.now())
    )
