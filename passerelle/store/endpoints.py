"""Who is told, and the messages on their way there: claimed, packed, sent in order, held."""

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from passerelle.store.outbox_models import MOST_OUTCOMES, MessageType

# Until nothing has come for a while, or the first has waited for long, outcomes gather.
_QUIET_SECONDS, _LONGEST_SECONDS = 3.0, 30.0

# Of an endpoint `ep`, in order; by ranges of the indexes of what waits, since the planner takes
# `firm_id = …` and the order of `id` for a walk through all there ever was.
UNTOLD = """(
    SELECT o.firm_id, o.id, o.at FROM outcomes o
    WHERE ep.audience = 'outcome' AND o.sequence IS NULL
      AND (o.firm_id, o.id) > (ep.firm_id, ep.after_id) AND (o.firm_id, o.id) < (ep.firm_id + 1, 0)
    ORDER BY o.firm_id, o.id LIMIT ep.most)"""
# Parts of what was one message were made when it was.
_ORDER = "m.created_at, coalesce(m.first_sequence, 0), m.id"
_WAITS = "m.told_at IS NULL AND (m.due_at IS NULL OR m.due_at <= now())"
_WAITING = f"""
    SELECT {{columns}} FROM messages m
    WHERE {_WAITS} AND (m.endpoint_id, {_ORDER}) > (ep.id, {{after}})
      AND (m.endpoint_id, m.created_at) < (ep.id + 1, '-infinity')
    ORDER BY m.endpoint_id, {_ORDER}"""  # noqa: S608 idem

_FIRST = "'-infinity', 0, 0"

# Whether what is untold makes a message by now.
_GATHERED = f"""EXISTS (
    SELECT FROM (
        SELECT count(*) AS n, min(o.at) AS first, max(o.at) AS latest FROM {UNTOLD} o) gathered
    WHERE n = ep.most OR latest <= now() - interval '{_QUIET_SECONDS} s'
       OR first <= now() - interval '{_LONGEST_SECONDS} s')"""  # noqa: S608 idem
_IS_LISTENING = "ep.url IS NOT NULL AND (ep.due_at IS NULL OR ep.due_at <= now())"
MAY_BE_TOLD = (
    f"{_IS_LISTENING} AND (ep.lease_until IS NULL OR ep.lease_until <= now()) AND "
    f"(({_WAITING.format(columns='m.id', after=_FIRST)} LIMIT 1) IS NOT NULL OR {_GATHERED})"
)
"""Something waits for it, and may be sent now."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One that is claimed under a lease. `url` and `secrets` are sealed; `failures`: how often in
    a row it took nothing.
    """

    id: int
    lease: uuid.UUID
    firm_id: int
    firm: str
    connector: str | None
    url: bytes
    secrets: bytes
    failures: int
    # The database's time when it was claimed.
    at: dt.datetime


_CLAIM = text(f"""
UPDATE endpoints ep SET lease = :lease, lease_until = now() + make_interval(secs => :seconds)
FROM firms f
WHERE ep.id = :id AND f.id = ep.firm_id AND {_IS_LISTENING}
  AND (ep.lease_until IS NULL OR ep.lease_until <= now() OR ep.lease = :lease)
RETURNING ep.id, ep.lease, ep.firm_id, f.code AS firm, f.connector, ep.url,
    f.webhook_secrets AS secrets, ep.failures, now() AS at
""")  # noqa: S608 idem


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
            "UPDATE endpoints SET lease = NULL, lease_until = NULL "
            "WHERE id = :id AND lease = :lease"
        ),
        {"id": endpoint_id, "lease": lease},
    )


# In order of id: of one entry, that is the order in which it went through its states.
_PACK = text(f"""
WITH packed AS MATERIALIZED (
    SELECT o.id, ep.firm_id, ep.id AS endpoint_id,
        ep.last_sequence + row_number() OVER (ORDER BY o.id) AS sequence
    FROM endpoints ep CROSS JOIN LATERAL {UNTOLD} o
    WHERE ep.id = :id AND {_GATHERED}
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
""")  # noqa: S608 idem


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


_COLUMNS = (
    "m.id, m.webhook_id, m.type, m.first_sequence, m.last_sequence, m.case_id, m.folder_id, "
    "m.seen, m.created_at, m.failures, m.due_at IS NOT NULL AS aside"
)
_NEXT = text(f"""
SELECT m.* FROM endpoints ep CROSS JOIN LATERAL (
    {_WAITING.format(columns=_COLUMNS, after="CAST(:made_at AS timestamptz), :first, :after")}
    LIMIT :most) m
WHERE ep.id = :id
""")  # noqa: S608 idem


def next_message(connection: Connection, endpoint_id: int) -> Message | None:
    """The oldest that waits. In the transaction that claims the endpoint."""
    return next(iter(_waiting(connection, endpoint_id, None, 1)), None)


def another_message(
    connection: Connection, endpoint_id: int, after: Message, tries: int
) -> Message | None:
    """One that waits behind `after`, another with each of the tries: several of them
    may be such. In the transaction that claims the endpoint.
    """
    # Few: what gathers fills messages.
    found = _waiting(connection, endpoint_id, after, tries.bit_length() + 1)
    return found[tries % len(found)] if found else None


def _waiting(
    connection: Connection, endpoint_id: int, after: Message | None, most: int
) -> list[Message]:
    """So many at most; where fewer wait, one more is made of what has gathered, and no sooner."""
    values = {
        "id": endpoint_id,
        "made_at": "-infinity" if after is None else after.created_at,
        "first": 0 if after is None else after.first_sequence or 0,
        "after": 0 if after is None else after.id,
        "most": most,
    }
    rows = connection.execute(_NEXT, values).all()
    if len(rows) < most:
        connection.execute(_PACK, {"id": endpoint_id, "type": MessageType.OUTCOMES})
        rows = connection.execute(_NEXT, values).all()
    return [Message(**row._asdict() | {"type": MessageType(row.type)}) for row in rows]


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


# What was too large once may have been so for a moment: messages grow again, by one each.
_UP = text(f"""
UPDATE endpoints SET down_since = NULL, failures = 0, message = NULL, due_at = NULL,
    most = least({MOST_OUTCOMES}, most + 1)
WHERE id = :id AND (down_since IS NOT NULL OR most < {MOST_OUTCOMES})
""")  # noqa: S608 idem


# Here and below: the endpoint first, as whoever tells anew locks them.
def note_told(connection: Connection, endpoint_id: int, message_id: int) -> None:
    """The receiver has it, and takes what comes."""
    connection.execute(_UP, {"id": endpoint_id})
    connection.execute(
        text("UPDATE messages SET told_at = now(), due_at = NULL WHERE id = :id"),
        {"id": message_id},
    )


_DOWN = text("""
UPDATE endpoints SET down_since = coalesce(down_since, now()), message = :words,
    failures = failures + 1, due_at = now() + make_interval(secs => :seconds)
WHERE id = :id AND lease = :lease
""")


def note_failure(
    connection: Connection, endpoint: Endpoint, message_id: int, words: str, seconds: float
) -> None:
    """The receiver did not take it: it is left alone for a while, and nothing goes before this.

    Nothing of that where the lease is lost: there may be another address by now.
    """
    values = {"id": endpoint.id, "lease": endpoint.lease, "words": words, "seconds": seconds}
    if connection.execute(_DOWN, values).rowcount:
        connection.execute(
            text("UPDATE messages SET failures = failures + 1 WHERE id = :id"), {"id": message_id}
        )


# Made when the whole was: the second half comes behind the first, and before all others.
_HALVE = text("""
WITH rest AS (
    INSERT INTO messages (firm_id, endpoint_id, type, first_sequence, last_sequence, created_at)
    SELECT m.firm_id, m.endpoint_id, m.type, (m.first_sequence + m.last_sequence) / 2 + 1,
        m.last_sequence, m.created_at
    FROM messages m WHERE m.id = :id AND m.first_sequence < m.last_sequence
    RETURNING id, firm_id, endpoint_id, first_sequence, last_sequence
), kept AS (
    UPDATE messages m SET last_sequence = rest.first_sequence - 1, failures = 0, due_at = NULL,
        webhook_id = gen_random_uuid()
    FROM rest WHERE m.id = :id
), moved AS (
    UPDATE outcomes o SET message_id = rest.id FROM rest
    WHERE o.firm_id = rest.firm_id
      AND o.sequence BETWEEN rest.first_sequence AND rest.last_sequence
)
UPDATE endpoints ep SET most = least(ep.most, rest.last_sequence - rest.first_sequence + 1)
FROM rest WHERE ep.id = rest.endpoint_id
""")


def halve(connection: Connection, message_id: int) -> bool:
    """The receiver calls a message too large: it is two from now on, and messages to come are no
    larger than one of them. False where it is one outcome, or carries none.

    In the transaction that claims the endpoint.
    """
    return connection.execute(_HALVE, {"id": message_id}).rowcount == 1


_ASIDE = text("""
UPDATE messages m SET failures = CASE WHEN m.due_at IS NULL THEN 1 ELSE m.failures + 1 END,
    due_at = now() + make_interval(secs => :seconds)
FROM endpoints ep WHERE m.id = :id AND ep.id = m.endpoint_id AND ep.lease = :lease
""")


def set_aside(connection: Connection, endpoint: Endpoint, message_id: int, seconds: float) -> None:
    """The receiver takes others and not this one: it is tried again by itself. Nothing of that
    where the lease is lost.

    From here on its failures are its own, and not the receiver's.
    """
    values = {"id": message_id, "lease": endpoint.lease, "seconds": seconds}
    connection.execute(_ASIDE, values)
