"""Whose reference data are to be read, and who reads them; times are the database's."""

import datetime as dt
import uuid
from dataclasses import dataclass

from sqlalchemy import Connection, text

from passerelle.domain.referential import Kind
from passerelle.domain.states import MISSED
from passerelle.store.pauses import MAY_CALL, lets_pass

_MISSED_SECONDS = 900.0
"""How often a folder is looked at that lacks an account or a journal for its entries."""

# Of `folders fo`. What fails is due by `refresh_at` alone.
IS_TO_BE_READ = """
(fo.refresh_at IS NULL OR fo.refresh_at <= now()
 OR (fo.refresh_failures = 0 AND fo.refreshed_at <= now() - make_interval(secs => :missed_seconds)
     AND fo.id IN (SELECT folder_id FROM cases WHERE state = 'open' AND reason = ANY(:missed))))
"""
IS_READABLE = f"""
fo.registered_at IS NOT NULL AND {lets_pass("fo")}
AND (fo.refresh_lease_until IS NULL OR fo.refresh_lease_until <= now())
"""
DUE_VALUES = {"missed_seconds": _MISSED_SECONDS, "missed": sorted(MISSED)}


@dataclass(frozen=True, slots=True)
class Refreshing:
    """A folder whose lists are read under `lease`, with its firm's sealed credentials.

    `failures`: how many refreshes in a row have failed. `flagged`: the lists that could not be
    read, or not be believed, the last time. `began`: since when it is read.
    """

    id: int
    code: str
    lease: uuid.UUID
    firm_id: int
    api_key: bytes
    api_secret: bytes
    subscription_key: bytes
    failures: int
    flagged: frozenset[Kind]
    began: dt.datetime


_LEASE = text(f"""
UPDATE folders fo SET refresh_lease = :lease, refresh_rung_at = NULL,
    refresh_lease_until = now() + make_interval(secs => :seconds)
FROM firms f
WHERE fo.id = :folder_id AND f.id = fo.firm_id AND {MAY_CALL} AND {IS_READABLE}
  AND (:asked OR {IS_TO_BE_READ})
RETURNING fo.id, fo.code, fo.refresh_lease AS lease, f.id AS firm_id, f.api_key, f.api_secret,
    f.subscription_key, fo.refresh_failures AS failures,
    ARRAY(SELECT kind FROM referential_flags WHERE folder_id = fo.id) AS flagged, now() AS began
""")  # noqa: S608 idem


_HEARD = text("""
UPDATE folders SET refresh_rung_at = NULL
WHERE id = :folder_id AND refresh_rung_at IS NOT NULL
""")


def lease_refresh(
    connection: Connection, folder_id: int, seconds: float, *, asked: bool
) -> Refreshing | None:
    """Take a folder that is due, or whenever somebody `asked`; None where it cannot be read now."""
    values = {
        "folder_id": folder_id,
        "lease": uuid.uuid4(),
        "seconds": seconds,
        "asked": asked,
        **DUE_VALUES,
    }
    row = connection.execute(_LEASE, values).one_or_none()
    if row is None:
        # A bell came in vain: the firm's next one need not wait for it.
        connection.execute(_HEARD, {"folder_id": folder_id})
        return None
    fields = row._asdict()
    return Refreshing(**fields | {"flagged": frozenset(map(Kind, fields["flagged"]))})


_GO_ON = text(f"""
UPDATE folders fo SET refresh_lease_until = now() + make_interval(secs => :seconds) FROM firms f
WHERE fo.id = :folder_id AND f.id = fo.firm_id AND fo.refresh_lease = :lease
RETURNING {MAY_CALL} AND {lets_pass("fo")}
""")  # noqa: S608 idem


def go_on(connection: Connection, folder: Refreshing, seconds: float) -> bool | None:
    """Keep the lease; whether Loop may be called now. None where somebody else has the folder."""
    values = {"folder_id": folder.id, "lease": folder.lease, "seconds": seconds}
    return connection.execute(_GO_ON, values).scalar_one_or_none()


def hold_refresh(connection: Connection, folder: Refreshing) -> dt.datetime | None:
    """Now, with the folder ours until the transaction ends; None where somebody else has it."""
    return connection.execute(
        text(
            "SELECT now() FROM folders WHERE id = :folder_id AND refresh_lease = :lease "
            "FOR NO KEY UPDATE"
        ),
        {"folder_id": folder.id, "lease": folder.lease},
    ).scalar_one_or_none()


def has_these_keys(connection: Connection, folder: Refreshing) -> bool:
    """Whether the firm's keys are still those that are read by; the firm is locked then."""
    found = connection.execute(
        text(
            "SELECT id FROM firms WHERE id = :firm_id AND api_key = :api_key "
            "AND api_secret = :api_secret AND subscription_key = :subscription_key FOR UPDATE"
        ),
        {
            "firm_id": folder.firm_id,
            "api_key": folder.api_key,
            "api_secret": folder.api_secret,
            "subscription_key": folder.subscription_key,
        },
    )
    return found.first() is not None


_RELEASE = text("""
UPDATE folders SET refresh_lease = NULL, refresh_lease_until = NULL, refresh_at = :at,
    refresh_failures = :failures,
    refreshed_at = CASE WHEN :taken THEN now() ELSE refreshed_at END,
    refreshed_from = CASE WHEN :failures = 0 THEN CAST(:began AS timestamptz)
        ELSE refreshed_from END
WHERE id = :folder_id AND refresh_lease = :lease
""")


def release_refresh(
    connection: Connection, folder: Refreshing, at: dt.datetime, failures: int, *, taken: bool
) -> None:
    """Give the folder back until `at`, after so many failures in a row.

    `taken`: the lists were gone through, or some was taken over.
    """
    values = {
        "folder_id": folder.id,
        "lease": folder.lease,
        "at": at,
        "failures": failures,
        "taken": taken,
        "began": folder.began,
    }
    connection.execute(_RELEASE, values)
