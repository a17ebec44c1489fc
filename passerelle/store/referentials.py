"""What a folder has in Loop: its lists as they were last read, and what is wrong with them."""

from collections.abc import Collection, Mapping
from typing import Protocol

from sqlalchemy import Connection, text

from passerelle.domain.referential import Kind, Record
from passerelle.store.refreshes import Refreshing


class Place(Protocol):
    """A folder and its firm, by our ids."""

    @property
    def id(self) -> int: ...

    @property
    def firm_id(self) -> int: ...


# Only what is another than before is touched: a refresh that finds all as it was writes no record.
_TAKE = text("""
INSERT INTO referential_records AS known
    (firm_id, folder_id, kind, code, label, object_id, revision_id, record, closed_at)
SELECT :firm_id, :folder_id, :kind, shown.code, shown.label, shown.object_id, shown.revision_id,
    shown.record, CASE WHEN shown.closed THEN now() END
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS shown(code text, label text, closed boolean,
    object_id text, revision_id text, record jsonb)
LEFT JOIN referential_records before
    ON before.folder_id = :folder_id AND before.kind = :kind AND before.code = shown.code
WHERE before.code IS NULL OR before.record <> shown.record OR before.gone_at IS NOT NULL
ON CONFLICT (folder_id, kind, code) DO UPDATE SET
    label = excluded.label, object_id = excluded.object_id, revision_id = excluded.revision_id,
    record = excluded.record, changed_at = now(), gone_at = NULL,
    closed_at = CASE WHEN excluded.closed_at IS NOT NULL
                THEN coalesce(known.closed_at, excluded.closed_at) END,
    reopened_at = CASE WHEN known.closed_at IS NOT NULL AND excluded.closed_at IS NULL
                  THEN now() ELSE known.reopened_at END
""")


def take_over(connection: Connection, folder: Place, kind: Kind, rows: bytes) -> int:
    """Store what Loop shows: a JSON array of `row`s, none of them twice. How many were new to us or
    had changed.
    """
    values = {
        "firm_id": folder.firm_id,
        "folder_id": folder.id,
        "kind": kind,
        "rows": rows.decode(),
    }
    return connection.execute(_TAKE, values).rowcount


def row(record: Record) -> dict[str, object]:
    """A record as `take_over` takes it."""
    return {
        "code": record.code,
        "label": record.label,
        "closed": record.closed,
        "object_id": record.object_id,
        "revision_id": record.revision_id,
        "record": record.whole,
    }


_GONE = text("""
UPDATE referential_records known SET gone_at = now()
WHERE known.folder_id = :folder_id AND known.kind = :kind AND known.gone_at IS NULL
  AND NOT EXISTS (SELECT FROM unnest(CAST(:codes AS text[])) shown WHERE shown = known.code)
""")


def forget_others(
    connection: Connection, folder: Refreshing, kind: Kind, codes: Collection[str]
) -> int:
    """What Loop does not list any more is gone; how many those are."""
    values = {"folder_id": folder.id, "kind": kind, "codes": list(codes)}
    return connection.execute(_GONE, values).rowcount


def known(connection: Connection, folder: Refreshing) -> Mapping[Kind, int]:
    """How many records of each list are known and not gone."""
    rows = connection.execute(
        text(
            "SELECT kind, count(*) AS number FROM referential_records "
            "WHERE folder_id = :folder_id AND gone_at IS NULL GROUP BY kind"
        ),
        {"folder_id": folder.id},
    )
    return {Kind(row.kind): row.number for row in rows}


def accounts_alike(
    connection: Connection, folder_id: int, accounts: Collection[str]
) -> dict[str, bool]:
    """The chart's accounts that are these but for zeros on the right; whether each is closed."""
    rows = connection.execute(
        text(
            "SELECT code, closed_at IS NOT NULL AS closed FROM referential_records "
            "WHERE folder_id = :folder_id "
            "AND kind = 'account' AND gone_at IS NULL AND rtrim(code, '0') = ANY(:roots)"
        ),
        {"folder_id": folder_id, "roots": [account.rstrip("0") for account in accounts]},
    )
    return {row.code: row.closed for row in rows}


def flag(connection: Connection, folder: Refreshing, kind: Kind, message: str) -> None:
    """Say what is wrong with a list; it is flagged since the first time."""
    connection.execute(
        text(
            "INSERT INTO referential_flags AS flag (firm_id, folder_id, kind, message) "
            "VALUES (:firm_id, :folder_id, :kind, :message) "
            "ON CONFLICT (folder_id, kind) DO UPDATE SET message = excluded.message "
            "WHERE flag.message <> excluded.message"
        ),
        {"firm_id": folder.firm_id, "folder_id": folder.id, "kind": kind, "message": message},
    )


def unflag(connection: Connection, folder: Refreshing, kinds: Collection[Kind]) -> None:
    """Nothing is wrong with these lists."""
    connection.execute(
        text("DELETE FROM referential_flags WHERE folder_id = :folder_id AND kind = ANY(:kinds)"),
        {"folder_id": folder.id, "kinds": sorted(kinds)},
    )
