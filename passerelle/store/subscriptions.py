"""Who is told, and where; and telling anew what was told."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, text

from passerelle.store.outbox_models import MOST_OUTCOMES, Audience

_SET_URL = text(f"""
INSERT INTO endpoints (firm_id, audience, url, after_id)
SELECT :firm_id, :audience, CAST(:url AS bytea),
    (SELECT coalesce(max(id), 0) FROM outcomes WHERE firm_id = :firm_id)
ON CONFLICT (firm_id, audience) DO UPDATE SET url = excluded.url, due_at = NULL, failures = 0,
    down_since = NULL, message = NULL, lease = NULL, lease_until = NULL,
    most = {MOST_OUTCOMES}
""")  # noqa: S608 a number of a module beside this one
_AT_ONCE = text("""
UPDATE messages m SET failures = 0, due_at = NULL FROM endpoints ep
WHERE ep.id = m.endpoint_id AND ep.firm_id = :firm_id AND ep.audience = :audience
  AND m.told_at IS NULL AND m.due_at IS NOT NULL
""")


def set_url(connection: Connection, firm_id: int, audience: Audience, url: bytes | None) -> bool:
    """Where a firm's audience is told from now on, at once; None: nowhere, and what waits is kept.

    Whether it was told nowhere before.
    """
    values = {"firm_id": firm_id, "audience": audience, "url": url}
    before = connection.execute(
        text(
            "SELECT url FROM endpoints WHERE firm_id = :firm_id AND audience = :audience "
            "FOR NO KEY UPDATE"
        ),
        values,
    ).scalar_one_or_none()
    connection.execute(_SET_URL, values)
    connection.execute(_AT_ONCE, values)
    return before is None


def reseal(connection: Connection, firm_id: int, again: Callable[[bytes], bytes]) -> None:
    """What is sealed of a firm's endpoints, sealed again."""
    rows = connection.execute(
        text(
            "SELECT id, url FROM endpoints WHERE firm_id = :firm_id AND url IS NOT NULL "
            "ORDER BY id FOR NO KEY UPDATE"
        ),
        {"firm_id": firm_id},
    ).all()
    for row in rows:
        connection.execute(
            text("UPDATE endpoints SET url = :url WHERE id = :id"),
            {"id": row.id, "url": again(row.url)},
        )
    secrets = connection.execute(
        text("SELECT webhook_secrets FROM firms WHERE id = :id"), {"id": firm_id}
    ).scalar_one()
    if secrets is not None:
        set_secrets(connection, firm_id, again(secrets))


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
            "AND (CAST(:firm AS text) IS NULL OR f.code = :firm) ORDER BY f.id"
        ),
        {"firm": firm},
    )
    return list(rows.scalars())


# By when it was told, since it may have waited for long.
_AGAIN = text("""
UPDATE messages m SET told_at = NULL, failures = 0, due_at = NULL FROM endpoints ep
WHERE ep.id = m.endpoint_id AND ep.firm_id = :firm_id AND ep.audience = 'outcome'
  AND (m.told_at >= :since OR m.told_at IS NULL)
""")
_UNTOLD_SINCE = text("""
SELECT count(*) AS outcomes, min(id) - 1 AS before_id FROM outcomes
WHERE firm_id = :firm_id AND sequence IS NULL AND at >= :since
""")

_ERASED_SINCE = text("""
SELECT EXISTS (
    SELECT FROM outcomes o JOIN entries e ON e.id = o.entry
    WHERE o.firm_id = :firm_id AND o.at >= :since AND e.erased_at IS NOT NULL)
""")


@dataclass(frozen=True, slots=True)
class Replayed:
    """`messages` that are sent again or at once, and `outcomes` told for the first time; `erased`:
    of some of them neither texts nor cuts are left.
    """

    messages: int
    outcomes: int
    erased: bool


def replay(connection: Connection, firm_id: int, since: dt.datetime) -> Replayed:
    """Tell a firm's hub again what it was told since, and what it was not; at once."""
    values = {"firm_id": firm_id, "since": since}
    untold = connection.execute(_UNTOLD_SINCE, values).one()
    connection.execute(
        text(
            f"UPDATE endpoints SET due_at = NULL, most = {MOST_OUTCOMES}, "  # noqa: S608 idem
            "after_id = least(after_id, CAST(:before_id AS bigint)) "
            "WHERE firm_id = :firm_id AND audience = 'outcome'"
        ),
        {"firm_id": firm_id, "before_id": untold.before_id},
    )
    again = connection.execute(_AGAIN, values)
    erased = bool(connection.execute(_ERASED_SINCE, values).scalar_one())
    return Replayed(again.rowcount, untold.outcomes, erased)


_SKIPPED = 1_000_000


def skip_sequences(connection: Connection) -> None:
    """The database went back: numbers that were given since are not given to something else.

    The receivers see a gap, as there is one.
    """
    connection.execute(
        text("UPDATE endpoints SET last_sequence = last_sequence + :skipped"),
        {"skipped": _SKIPPED},
    )
