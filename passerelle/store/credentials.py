"""Credentials of registered firms, as they are stored: read, replaced, sealed anew (rule 21)."""

from dataclasses import dataclass

from sqlalchemy import Connection, text

from passerelle.store import subscriptions
from passerelle.store.vault import Vault


@dataclass(frozen=True, slots=True)
class SealedFirm:
    id: int
    code: str
    api_key: bytes
    api_secret: bytes
    subscription_key: bytes


_SELECT = """
SELECT id, code, api_key, api_secret, subscription_key FROM firms
WHERE {which} AND registered_at IS NOT NULL {lock}
"""
_OF_CODE = text(_SELECT.format(which="code = :code", lock=""))
_LOCKED = text(_SELECT.format(which="id = :id", lock="FOR UPDATE"))


def sealed_firm(connection: Connection, code: str) -> SealedFirm | None:
    """A registered firm's credentials."""
    row = connection.execute(_OF_CODE, {"code": code}).one_or_none()
    return None if row is None else SealedFirm(**row._asdict())


def lock_firm(connection: Connection, firm_id: int) -> SealedFirm:
    """The same, locked: nobody replaces them, claims or marks anything meanwhile."""
    return SealedFirm(**connection.execute(_LOCKED, {"id": firm_id}).one()._asdict())


def registered_firms(connection: Connection) -> list[tuple[int, str]]:
    """Id and code of each, in order of code."""
    rows = connection.execute(
        text("SELECT id, code FROM firms WHERE registered_at IS NOT NULL ORDER BY code")
    )
    return [(row.id, row.code) for row in rows]


def replace(connection: Connection, firm: SealedFirm, api_key_hash: bytes) -> None:
    """Store these as the firm's credentials.

    Raises: IntegrityError, where the API key is another firm's.
    """
    connection.execute(
        text(
            "UPDATE firms SET api_key = :api_key, api_secret = :api_secret, "
            "subscription_key = :subscription_key, api_key_hash = :api_key_hash WHERE id = :id"
        ),
        {
            "id": firm.id,
            "api_key": firm.api_key,
            "api_secret": firm.api_secret,
            "subscription_key": firm.subscription_key,
            "api_key_hash": api_key_hash,
        },
    )


def stop_refreshes(connection: Connection, firm_id: int) -> None:
    """Whoever reads the firm's lists does so by the keys of before."""
    connection.execute(
        text(
            "UPDATE folders SET refresh_lease = NULL, refresh_lease_until = NULL "
            "WHERE firm_id = :firm_id AND refresh_lease IS NOT NULL"
        ),
        {"firm_id": firm_id},
    )


def reseal(connection: Connection, firm_id: int, vault: Vault) -> None:
    """Encrypt a firm's credentials, and hash its API key, with the vault's newest key.

    Raises:
        VaultError: they cannot be decrypted.
        IntegrityError: the API key is another firm's, too.
    """
    firm = lock_firm(connection, firm_id)
    subscriptions.reseal(connection, firm_id, vault.reseal)
    keys = (firm.api_key, firm.api_secret, firm.subscription_key)
    resealed = SealedFirm(firm.id, firm.code, *map(vault.reseal, keys))
    replace(connection, resealed, vault.hashes(vault.open(firm.api_key))[0])


@dataclass(frozen=True, slots=True)
class KnownJournals:
    """A registered folder and Loop's ids of its journals, as far as they are stored."""

    folder: str
    object_ids: frozenset[str]


_JOURNALS = text("""
SELECT fo.code, array_agg(r.object_id) AS object_ids
FROM folders fo JOIN referential_records r ON r.folder_id = fo.id
WHERE fo.firm_id = :firm_id AND fo.registered_at IS NOT NULL
  AND r.kind = 'journal' AND r.object_id IS NOT NULL AND r.gone_at IS NULL
GROUP BY fo.id ORDER BY fo.held_by IS NOT NULL, fo.id LIMIT :most
""")


def known_journals(connection: Connection, firm_id: int, most: int) -> list[KnownJournals]:
    """Of so many folders at most that have some; those on hold last."""
    rows = connection.execute(_JOURNALS, {"firm_id": firm_id, "most": most})
    return [KnownJournals(row.code, frozenset(row.object_ids)) for row in rows]
