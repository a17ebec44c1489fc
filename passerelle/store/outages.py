"""Whether Loop as a whole is down: noticed by all firms together (engine rule 9).

One row: a deployment has one base URL.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, text

from passerelle.store.pauses import IS_READY

_ENOUGH = 3
"""Failures of whichever firms, with no answer between, that make an outage."""

_PROBES_APART = 11.0
"""Seconds: with ten there would be seven in some minutes."""


def count_failure(connection: Connection, message: str) -> None:
    """Loop, or the way to it, failed."""
    connection.execute(
        text(
            "UPDATE outages SET failures = failures + 1, message = :message, "
            "since = coalesce(since, CASE WHEN failures + 1 >= :enough THEN now() END)"
        ),
        {"message": message, "enough": _ENOUGH},
    )


def forget_failures(connection: Connection) -> None:
    """Loop answered. An outage is ended by a probe alone: this may have been sent before it."""
    connection.execute(text("UPDATE outages SET failures = 0 WHERE failures > 0"))


def take_probe(connection: Connection) -> bool:
    """Whether Loop is to be probed now; then the next time is a while away."""
    taken = connection.execute(
        text(
            "UPDATE outages SET probe_at = now() + make_interval(secs => :apart) "
            "WHERE since IS NOT NULL AND (probe_at IS NULL OR probe_at <= now()) RETURNING id"
        ),
        {"apart": _PROBES_APART},
    )
    return taken.first() is not None


@dataclass(frozen=True, slots=True)
class Prober:
    """A folder to read, with its firm's sealed credentials."""

    code: str
    firm_id: int
    api_key: bytes
    api_secret: bytes
    subscription_key: bytes


def prober(connection: Connection) -> Prober | None:
    """Any folder whose firm has keys and no pause; None where it is over.

    A hold is no matter: a refusal shows that Loop is back, too.
    """
    row = connection.execute(
        text(f"""
        SELECT fo.code, f.id AS firm_id, f.api_key, f.api_secret, f.subscription_key
        FROM outages o, folders fo JOIN firms f ON f.id = fo.firm_id
        WHERE o.since IS NOT NULL AND {IS_READY}
        ORDER BY f.held_by IS NOT NULL, fo.held_by IS NOT NULL, fo.registered_at IS NULL, random()
        LIMIT 1
        """)  # noqa: S608 a literal of a module beside this one
    ).one_or_none()
    return None if row is None else Prober(**row._asdict())


def end(connection: Connection) -> float | None:
    """Loop answers again. How many seconds it did not; None where somebody else ended it."""
    return connection.execute(
        text("""
        UPDATE outages o SET failures = 0, since = NULL, message = NULL
        FROM (SELECT id, since FROM outages FOR UPDATE) before
        WHERE o.id = before.id AND before.since IS NOT NULL
        RETURNING extract(epoch FROM now() - before.since)::float
        """)
    ).scalar_one_or_none()
