"""Which database this is: one that went back in time is another (engine rule 23)."""

import datetime as dt
from typing import Any

from psycopg import errors
from sqlalchemy import Connection, Row, text
from sqlalchemy.exc import DBAPIError

from passerelle.observe import log

# A dump is read into another server, or makes the table anew; a copy of the database within its
# server has an OID of its own; a standby that took over, and a recovery, begin a timeline. The name
# of the log file that is written to has the present one. The control file has the last
# checkpoint's, and what took over makes one only some time later.
_TOLD = {
    "system_identifier": "(SELECT system_identifier FROM pg_control_system())",
    "timeline": "left(pg_walfile_name(pg_current_wal_lsn()), 8)",
    "database_oid": "(SELECT oid::bigint FROM pg_database WHERE datname = current_database())",
    "entries_oid": "CAST('entries'::regclass AS oid)::bigint",
}
_NOT_TOLD = (
    errors.InsufficientPrivilege,
    errors.FeatureNotSupported,
    errors.UndefinedFunction,
)

# In one statement: somebody may mark the first import, with which it is remembered, at any moment.
_KNOWN = text(f"""
SELECT {", ".join(_TOLD)},
    CASE WHEN known.one IS NULL THEN NOT EXISTS (SELECT FROM imports) ELSE false END AS is_new
FROM (SELECT) nothing LEFT JOIN database_identity known ON true
""")  # noqa: S608 names of columns


def confirmed(connection: Connection) -> bool:
    """Whether this is the database that was delivered from before; remembered at the first use.

    To be asked in the transaction that counts: behind a pool the server may be another by now.
    """
    known = _known(connection)
    if known.is_new:
        remember(connection)
        return True
    return not _is_another(connection, known)


def went_back(connection: Connection) -> bool:
    """Whether nothing may be sent from this database before `passerelle db restored` is through."""
    known = _known(connection)
    return not known.is_new and _is_another(connection, known)


def _known(connection: Connection) -> Row[Any]:
    """What is remembered, all None where nothing is; `is_new`: nor was anything sent."""
    return connection.execute(_KNOWN).one()


def _is_another(connection: Connection, known: Row[Any]) -> bool:
    # Where nothing is remembered, or `restored` is at work.
    if known.entries_oid is None:
        return True
    # What the server did not tell then is not compared.
    stored = known._asdict()
    kept = {name: stored[name] for name in _TOLD if stored[name] is not None}
    parts = ", ".join(f"{_TOLD[name]} AS {name}" for name in kept)
    told = connection.execute(text(f"SELECT {parts}")).one()
    return told._asdict() != kept


def remember(connection: Connection) -> None:
    """Note which database this is, unless that was done."""
    connection.execute(
        text(
            "INSERT INTO database_identity "
            "(system_identifier, timeline, database_oid, entries_oid) "
            "VALUES (:system_identifier, :timeline, :database_oid, :entries_oid) "
            "ON CONFLICT DO NOTHING"
        ),
        _now(connection),
    )


def _now(connection: Connection) -> dict[str, object]:
    """What this server tells; some managed ones tell less."""
    told: dict[str, object] = {}
    for name, expression in _TOLD.items():
        try:
            with connection.begin_nested():
                told[name] = connection.execute(text(f"SELECT {expression}")).scalar_one()
        except DBAPIError as error:
            if not isinstance(error.orig, _NOT_TOLD):
                raise
            told[name] = None
            log.warning("the server does not tell which it is", what=name)
    return told


def doubt(connection: Connection, since: dt.datetime, who: str) -> dt.datetime | None:
    """Stop deliveries: the database went back to `since`. From when on that is so; None where
    `since` is to come.

    Whoever reads this row after it has touched an entry either is waited for here or sees it.
    """
    connection.execute(text("LOCK TABLE entries IN EXCLUSIVE MODE"))
    return connection.execute(
        text(
            "INSERT INTO database_identity AS known (since, restored_at, restored_by) "
            "SELECT CAST(:since AS timestamptz), clock_timestamp(), CAST(:who AS text) "
            "WHERE :since <= clock_timestamp() "
            "ON CONFLICT (one) DO UPDATE SET since = excluded.since, entries_oid = NULL, "
            "restored_at = excluded.restored_at, restored_by = excluded.restored_by "
            "RETURNING restored_at"
        ),
        {"since": since, "who": who},
    ).scalar_one_or_none()


def believe(connection: Connection, restored_at: dt.datetime) -> bool:
    """Let deliveries go on; False where somebody has begun to restore anew."""
    done = connection.execute(
        text(
            "UPDATE database_identity SET system_identifier = :system_identifier, "
            "timeline = :timeline, database_oid = :database_oid, entries_oid = :entries_oid "
            "WHERE restored_at = :restored_at"
        ),
        {**_now(connection), "restored_at": restored_at},
    )
    return done.rowcount == 1
