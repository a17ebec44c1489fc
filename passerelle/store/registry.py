"""Firms and folders: found, made and locked for an intake; registered by command."""

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from passerelle.store.outbox import FolderSeen, tell_folder


@dataclass(frozen=True, slots=True)
class Place:
    """A firm or a folder as an arriving entry sees it."""

    id: int
    code: str
    registered: bool
    # The case that holds it.
    held_by: int | None
    # A delivery is at it, has just been or was rung for: it or upkeep will see what arrives.
    busy: bool


def code_key(code: str) -> str:
    """Codes that differ only by case or outer blanks have the same key (engine rule 21)."""
    return code.strip().casefold()


# A key-share lock waits for the opening or closing of a case (which takes the row for update) and
# makes it wait, but lets deliveries renew leases and pace on the same row. A firm without
# registration is taken for update at once: a case will be opened for it, and two intakes that
# both share the row would wait for each other.
#
# The case is not joined: after waiting for a hold, PostgreSQL reads the locked row anew but joins
# it with what it had found before.
_PLACES = """
SELECT id, code, registered_at IS NOT NULL AS registered, held_by, {busy} AS busy FROM {table}
WHERE code = ANY(:codes) {owner} ORDER BY id FOR {lock}
"""


# Of `folders`. Whoever brought what is due already has rung for it. In order, as in `claims`: else
# PostgreSQL may go through the table.
_IS_BUSY = """
(coalesce(greatest(lease_until, gather_until) > now(), false) OR (
    SELECT e.id FROM entries e
    WHERE e.folder_id = folders.id AND e.state IN ('received', 'waiting') AND e.due_at <= now()
    ORDER BY e.due_at, e.id LIMIT 1) IS NOT NULL)
"""


def _locked(connection: Connection, statement: str, values: dict[str, Any]) -> dict[str, Place]:
    rows = connection.execute(text(statement), values).all()
    return {row.code: Place(**row._asdict()) for row in rows}


def lock_firms(connection: Connection, codes: Collection[str]) -> dict[str, Place]:
    """The firms of these codes, locked until the transaction ends."""
    places: dict[str, Place] = {}
    for registered, lock in (("NOT", "KEY SHARE"), ("", "UPDATE")):
        rest = [code for code in codes if code not in places]
        if rest:
            owner = f"AND registered_at IS {registered} NULL"
            statement = _PLACES.format(table="firms", owner=owner, lock=lock, busy="false")
            places |= _locked(connection, statement, {"codes": rest})
    return places


def lock_folders(connection: Connection, firm_id: int, codes: Collection[str]) -> dict[str, Place]:
    """The firm's folders of these codes, locked until the transaction ends."""
    statement = _PLACES.format(
        table="folders", owner="AND firm_id = :firm_id", lock="KEY SHARE", busy=_IS_BUSY
    )
    return _locked(connection, statement, {"codes": list(codes), "firm_id": firm_id})


def near_firm(connection: Connection, code: str) -> str | None:
    """A registered firm's code that differs from this one only by case or outer blanks."""
    return connection.execute(
        text(
            "SELECT code FROM firms WHERE code_key = :key AND code <> :code "
            "AND registered_at IS NOT NULL"
        ),
        {"key": code_key(code), "code": code},
    ).scalar_one_or_none()


def near_folder(connection: Connection, firm_id: int, code: str) -> str | None:
    """A registered folder's code that differs from this one only by case or outer blanks."""
    return connection.execute(
        text(
            "SELECT code FROM folders WHERE firm_id = :firm_id AND code_key = :key "
            "AND code <> :code AND registered_at IS NOT NULL"
        ),
        {"firm_id": firm_id, "key": code_key(code), "code": code},
    ).scalar_one_or_none()


def add_codes(connection: Connection, codes: Sequence[str], firm_id: int | None = None) -> None:
    """Make unregistered firms (or folders of a firm) where these codes are not known yet."""
    rows = [{"code": code, "key": code_key(code), "firm_id": firm_id} for code in sorted(codes)]
    if not rows:
        return
    statement = (
        "INSERT INTO firms (code, code_key) VALUES (:code, :key) ON CONFLICT (code) DO NOTHING"
        if firm_id is None
        else "INSERT INTO folders (firm_id, code, code_key) VALUES (:firm_id, :code, :key) "
        "ON CONFLICT (firm_id, code) DO NOTHING"
    )
    connection.execute(text(statement), rows)


def register_folder(connection: Connection, folder_id: int) -> None:
    """Loop knows this folder."""
    done = connection.execute(
        text("UPDATE folders SET registered_at = now() WHERE id = :id AND registered_at IS NULL"),
        {"id": folder_id},
    )
    if done.rowcount:
        tell_folder(connection, folder_id, {"state": FolderSeen.REACHABLE})


def registered_firm(connection: Connection, code: str) -> int | None:
    return connection.execute(
        text("SELECT id FROM firms WHERE code = :code AND registered_at IS NOT NULL"),
        {"code": code},
    ).scalar_one_or_none()


def owner_of_key(connection: Connection, hashes: Sequence[bytes]) -> str | None:
    """The firm whose API key has one of these hashes."""
    return connection.execute(
        text("SELECT code FROM firms WHERE api_key_hash = ANY(:hashes)"), {"hashes": list(hashes)}
    ).scalar_one_or_none()


def register_firm(
    connection: Connection,
    code: str,
    api_key: bytes,
    api_secret: bytes,
    subscription_key: bytes,
    api_key_hash: bytes,
) -> int | None:
    """Give a firm its sealed credentials; None where it has some already."""
    return connection.execute(
        text(
            "UPDATE firms SET registered_at = now(), api_key = :api_key, "
            "api_secret = :api_secret, subscription_key = :subscription_key, "
            "api_key_hash = :api_key_hash WHERE code = :code AND registered_at IS NULL "
            "RETURNING id"
        ),
        {
            "code": code,
            "api_key": api_key,
            "api_secret": api_secret,
            "subscription_key": subscription_key,
            "api_key_hash": api_key_hash,
        },
    ).scalar_one_or_none()


def set_firm(connection: Connection, code: str, connector: str | None) -> bool:
    """The connector's name in Loop; False where no such firm is registered."""
    done = connection.execute(
        text(
            "UPDATE firms SET connector = :connector "
            "WHERE code = :code AND registered_at IS NOT NULL"
        ),
        {"code": code, "connector": connector},
    )
    return done.rowcount == 1


def set_folder(
    connection: Connection, firm_id: int, code: str, **terms: object
) -> tuple[dt.date | None, dt.date | None] | None:
    """Change the columns that are given and not None; the open period that comes of it.

    None: no such folder is registered.
    """
    row = connection.execute(
        text(
            "UPDATE folders SET name = coalesce(:name, name), "
            "open_from = coalesce(:open_from, open_from), "
            "open_to = coalesce(:open_to, open_to), "
            "create_accounts = coalesce(:create_accounts, create_accounts) "
            "WHERE firm_id = :firm_id AND code = :code AND registered_at IS NOT NULL "
            "RETURNING open_from, open_to"
        ),
        {"firm_id": firm_id, "code": code, **terms},
    ).one_or_none()
    return None if row is None else (row.open_from, row.open_to)


def add_folder(connection: Connection, firm_id: int, code: str) -> bool:
    """Register a folder; False where it is registered already."""
    added = connection.execute(
        text(
            "UPDATE folders SET registered_at = now() "
            "WHERE firm_id = :firm_id AND code = :code AND registered_at IS NULL"
        ),
        {"firm_id": firm_id, "code": code},
    )
    return added.rowcount == 1
