"""Who is told, and the messages on their way there: claimed, packed, sent in order, held."""

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from passerelle.store.outbox_models import Audience, MessageType

MOST_OUTCOMES = 500
"""In a message, contract section 8."""

# Until nothing has come for a while, or the first has waited for long, outcomes gather.
_QUIET_SECONDS, _LONGEST_SECONDS = 3.0, 30.0

_UNTOLD = "o.firm_id = ep.firm_id AND o.sequence IS NULL AND o.id > ep.after_id"
# Of an endpoint `ep`: whether what is untold makes a message by now.
GATHERED = f"""EXISTS (
    SELECT FROM (
        SELECT count(*) AS n, min(o.at) AS first, max(o.at) AS latest FROM (
            SELECT o.at FROM outcomes o WHERE ep.audience = 'outcome' AND {_UNTOLD}
            ORDER BY o.id LIMIT {MOST_OUTCOMES}) o) gathered
    WHERE n = {MOST_OUTCOMES} OR latest <= now() - interval '{_QUIET_SECONDS} s'
       OR first <= now() - interval '{_LONGEST_SECONDS} s')"""  # noqa: S608 literals
MAY_BE_TOLD = (
    "ep.url IS NOT NULL AND (ep.due_at IS NULL OR ep.due_at <= now()) "
    "AND (ep.lease_until IS NULL OR ep.lease_until <= now())"
)
_WAITS = "m.told_at IS NULL AND (m.due_at IS NULL OR m.due_at <= now())"
HAS_WORK = (
    f"(EXISTS (SELECT FROM messages m WHERE m.endpoint_id = ep.id AND {_WAITS}) OR {GATHERED})"
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A claimed one. `secrets` are sealed; `failures`: how often in a row it took nothing."""

    id: int
    firm_id: int
    firm: str
    connector: str | None
    url: str
    secrets: bytes
    failures: int
    # The database's time when it was claimed.
    at: dt.datetime


_CLAIM = text("""
UPDATE endpoints ep SET lease = :lease, lease_until = now() + make_interval(secs => :seconds)
FROM firms f
WHERE ep.id = :id AND f.id = ep.firm_id AND ep.url IS NOT NULL AND f.webhook_secrets IS NOT NULL
  AND (ep.lease_until IS NULL OR ep.lease_until <= now() OR ep.lease = :lease)
  AND (ep.due_at IS NULL OR ep.due_at <= now())
RETURNING ep.id, ep.firm_id, f.code AS firm, f.connector, ep.url, f.webhook_secrets AS secrets,
    ep.failures, now() AS at
""")


def claim(
    connection: Connection, endpoint_id: int, lease: uuid.UUID, seconds: float
) -> Endpoint | None:
    """An endpoint that may be sent to, for so long; again by the same lease while it is at work."""
    values = {"id": endpoint_id, "lease": lease, "seconds": seconds}
    row = connection.execute(_CLAIM, values).one_or_none()
    return None if row is None else Endpoint(**row._asdict())


def release(connection: Connection, endpoint_id: int, lease: uuid.UUID) -> None:
    connection.execute(
        text(
            "UPDATE endpoints SET lease = NULL, lease_until = NULL, rung_at = NULL "
            "WHERE id = :id AND lease = :lease"
        ),
        {"id": endpoint_id, "lease": lease},
    )


# In order of id: of one entry, that is the order in which it went through its states.
_PACK = text(f"""
WITH packed AS MATERIALIZED (
    SELECT o.id, ep.firm_id, ep.id AS endpoint_id,
        ep.last_sequence + row_number() OVER (ORDER BY o.id) AS sequence
    FROM endpoints ep JOIN LATERAL (
        SELECT o.id FROM outcomes o WHERE {_UNTOLD} ORDER BY o.id LIMIT {MOST_OUTCOMES}) o ON true
    WHERE ep.id = :id AND {GATHERED}
), message AS (
    INSERT INTO messages (firm_id, endpoint_id, type, first_sequence, last_sequence)
    SELECT firm_id, endpoint_id, :type, min(sequence), max(sequence)
    FROM packed GROUP BY firm_id, endpoint_id
    RETURNING id, endpoint_id, last_sequence
), numbered AS (
    UPDATE outcomes o SET sequence = packed.sequence, message_id = message.id
    FROM packed, message WHERE o.id = packed.id
)
UPDATE endpoints ep SET last_sequence = message.last_sequence
FROM message WHERE ep.id = message.endpoint_id
""")  # noqa: S608 literals


@dataclass(frozen=True, slots=True)
class Message:
    """One that waits. `failures`: how often it was tried in vain; `aside`: others went before."""

    id: int
    webhook_id: uuid.UUID
    type: MessageType
    first_sequence: int | None
    last_sequence: int | None
    case_id: int | None
    folder_id: int | None
    seen: dict[str, Any] | None
    created_at: dt.datetime
    failures: int
    aside: bool


_NEXT = text(f"""
SELECT m.id, m.webhook_id, m.type, m.first_sequence, m.last_sequence, m.case_id, m.folder_id,
    m.seen, m.created_at, m.failures, m.due_at IS NOT NULL AS aside
FROM messages m WHERE m.endpoint_id = :id AND m.id > :after AND {_WAITS}
ORDER BY m.id LIMIT 1
""")  # noqa: S608 idem


def next_message(connection: Connection, endpoint_id: int, after: int = 0) -> Message | None:
    """The oldest that waits behind the message `after`; made of what has gathered where none does.

    For whoever has claimed the endpoint alone.
    """
    values = {"id": endpoint_id, "after": after, "type": MessageType.OUTCOMES}
    row = connection.execute(_NEXT, values).one_or_none()
    # No sooner: while a receiver takes nothing, what is for it fills messages.
    if row is None and connection.execute(_PACK, values).rowcount:
        row = connection.execute(_NEXT, values).one_or_none()
    return None if row is None else Message(**row._asdict() | {"type": MessageType(row.type)})


_OUTCOMES = text("""
SELECT o.sequence, coalesce(o.folder, fo.code) AS folder,
    coalesce(o.entry_id, e.entry_id) AS entry_id, coalesce(o.revision, e.revision) AS revision,
    coalesce(o.event_id, CAST(e.event_id AS text)) AS event_id,
    o.state, o.reason, o.message, o.case_id, coalesce(e.cuts, '[]') AS cuts, o.at
FROM outcomes o LEFT JOIN entries e ON e.id = o.entry LEFT JOIN folders fo ON fo.id = e.folder_id
WHERE o.firm_id = :firm_id AND o.sequence BETWEEN :first AND :last ORDER BY o.sequence
""")


def outcomes(connection: Connection, firm_id: int, first: int, last: int) -> list[dict[str, Any]]:
    """A firm's outcomes of these numbers, under the contract's names."""
    values = {"firm_id": firm_id, "first": first, "last": last}
    return [row._asdict() for row in connection.execute(_OUTCOMES, values)]


def folder_code(connection: Connection, folder_id: int) -> str:
    code: str = connection.execute(
        text("SELECT code FROM folders WHERE id = :folder_id"), {"folder_id": folder_id}
    ).scalar_one()
    return code


_UP = text("""
UPDATE endpoints SET down_since = NULL, failures = 0, message = NULL, due_at = NULL
WHERE id = :id AND down_since IS NOT NULL
""")


def note_told(connection: Connection, endpoint_id: int, message_id: int) -> None:
    """The receiver has it, and takes what comes."""
    connection.execute(
        text("UPDATE messages SET told_at = now(), due_at = NULL WHERE id = :id"),
        {"id": message_id},
    )
    connection.execute(_UP, {"id": endpoint_id})


def note_failure(
    connection: Connection, endpoint_id: int, message_id: int, words: str, seconds: float
) -> None:
    """The receiver did not take it: it is left alone for a while, and nothing goes before this."""
    connection.execute(
        text("UPDATE messages SET failures = failures + 1 WHERE id = :id"), {"id": message_id}
    )
    connection.execute(
        text(
            "UPDATE endpoints SET down_since = coalesce(down_since, now()), message = :words, "
            "failures = failures + 1, due_at = now() + make_interval(secs => :seconds) "
            "WHERE id = :id"
        ),
        {"id": endpoint_id, "words": words, "seconds": seconds},
    )


def set_aside(connection: Connection, message_id: int, seconds: float) -> None:
    """The receiver takes others and not this one: it is tried again by itself."""
    connection.execute(
        text(
            "UPDATE messages SET failures = failures + 1, "
            "due_at = now() + make_interval(secs => :seconds) WHERE id = :id"
        ),
        {"id": message_id, "seconds": seconds},
    )


_SET_URL = text("""
INSERT INTO endpoints (firm_id, audience, url, after_id)
SELECT :firm_id, :audience, CAST(:url AS text),
    (SELECT coalesce(max(id), 0) FROM outcomes WHERE firm_id = :firm_id)
ON CONFLICT (firm_id, audience) DO UPDATE SET url = excluded.url, due_at = NULL, failures = 0,
    down_since = NULL, message = NULL
""")


def set_url(connection: Connection, firm_id: int, audience: Audience, url: str | None) -> bool:
    """Where a firm's audience is told from now on; None: nowhere, and what waits is kept.

    Whether it was told nowhere before.
    """
    values = {"firm_id": firm_id, "audience": audience, "url": url}
    before = connection.execute(
        text(
            "SELECT url FROM endpoints WHERE firm_id = :firm_id AND audience = :audience FOR UPDATE"
        ),
        values,
    ).scalar_one_or_none()
    connection.execute(_SET_URL, values)
    return before is None


def set_secrets(connection: Connection, firm_id: int, sealed: bytes) -> None:
    connection.execute(
        text("UPDATE firms SET webhook_secrets = :sealed WHERE id = :id"),
        {"id": firm_id, "sealed": sealed},
    )


def has_secrets(connection: Connection, firm_id: int) -> bool:
    found = connection.execute(
        text("SELECT webhook_secrets IS NOT NULL FROM firms WHERE id = :id"), {"id": firm_id}
    )
    return bool(found.scalar_one())


def hubs(connection: Connection, firm: str | None) -> list[int]:
    """Firms whose hub is told somewhere; that of one code, or all."""
    rows = connection.execute(
        text(
            "SELECT f.id FROM firms f JOIN endpoints ep ON ep.firm_id = f.id "
            "WHERE ep.audience = 'outcome' AND ep.url IS NOT NULL "
            "AND (CAST(:firm AS text) IS NULL OR f.code = :firm) ORDER BY f.id FOR UPDATE OF ep"
        ),
        {"firm": firm},
    )
    return list(rows.scalars())


_AGAIN = text("""
UPDATE messages m SET told_at = NULL, failures = 0, due_at = NULL FROM endpoints ep
WHERE ep.id = m.endpoint_id AND ep.firm_id = :firm_id AND ep.audience = 'outcome'
  AND m.created_at >= :since
""")
_UNTOLD_SINCE = text("""
SELECT count(*) AS outcomes, min(id) - 1 AS before_id FROM outcomes
WHERE firm_id = :firm_id AND sequence IS NULL AND at >= :since
""")


@dataclass(frozen=True, slots=True)
class Replayed:
    """`messages` that are sent again or at once, and `outcomes` told for the first time."""

    messages: int
    outcomes: int


def replay(connection: Connection, firm_id: int, since: dt.datetime) -> Replayed:
    """Tell a firm's hub again what it was told since, and what it was not; at once."""
    values = {"firm_id": firm_id, "since": since}
    again = connection.execute(_AGAIN, values)
    untold = connection.execute(_UNTOLD_SINCE, values).one()
    connection.execute(
        text(
            "UPDATE endpoints SET due_at = NULL, "
            "after_id = least(after_id, CAST(:before_id AS bigint)) "
            "WHERE firm_id = :firm_id AND audience = 'outcome'"
        ),
        {"firm_id": firm_id, "before_id": untold.before_id},
    )
    return Replayed(again.rowcount, untold.outcomes)


_SKIPPED = 1_000_000


def skip_sequences(connection: Connection) -> None:
    """The database went back: numbers that were given since are not given to something else.

    The receivers see a gap, as there is one.
    """
    connection.execute(
        text("UPDATE endpoints SET last_sequence = last_sequence + :skipped"),
        {"skipped": _SKIPPED},
    )
