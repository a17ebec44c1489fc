"""What a folder needs in Loop for the entries that the hub sends, and what it has."""

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import Connection, text

# The entries of the last year, by the day they came; not those that will never be sent, nor those
# of which nothing is left to tell.
_USED = """
FROM entries e CROSS JOIN LATERAL ({values}) AS used(code)
WHERE e.folder_id = :folder_id AND e.received_at > now() - interval '1 year'
  AND e.state NOT IN ('superseded', 'discarded') AND e.erased_at IS NULL
"""
_ACCOUNTS = "SELECT line ->> 'account' FROM jsonb_array_elements(e.entry -> 'lines') line"
_JOURNALS = "SELECT e.entry -> 'journal' ->> 'code'"


@dataclass(frozen=True, slots=True)
class Used:
    """A code that entries have used: whether the folder has it, and has it open."""

    code: str
    known: bool
    open: bool


def used_accounts(connection: Connection, folder_id: int) -> list[Used]:
    """Of the last year; accounts that differ only by zeros on the right are the same."""
    same = "known.kind = 'account' AND rtrim(known.code, '0') = rtrim(used.code, '0')"
    return _used(connection, folder_id, _ACCOUNTS, same)


def used_journals(connection: Connection, folder_id: int) -> list[Used]:
    """Of the last year."""
    return _used(
        connection, folder_id, _JOURNALS, "known.kind = 'journal' AND known.code = used.code"
    )


def _used(connection: Connection, folder_id: int, values: str, same: str) -> list[Used]:
    rows = connection.execute(
        text(f"""
        SELECT used.code, count(known.code) > 0 AS known,
               count(known.code) FILTER (WHERE known.closed_at IS NULL) > 0 AS open
        FROM (SELECT DISTINCT used.code {_USED.format(values=values)}) used
        LEFT JOIN referential_records known
            ON known.folder_id = :folder_id AND known.gone_at IS NULL AND {same}
        GROUP BY used.code ORDER BY used.code
        """),  # noqa: S608 literals of this module
        {"folder_id": folder_id},
    )
    return [Used(**row._asdict()) for row in rows]


def account_classes(connection: Connection, folder_id: int) -> set[str]:
    """The first digits of the accounts that are open."""
    return _open(connection, folder_id, "account", "left(code, 1)")


def journal_types(connection: Connection, folder_id: int) -> set[str]:
    """Of the journals that are open, as Loop writes them (reference: Loop API 3.2)."""
    return _open(connection, folder_id, "journal", "record ->> 'type'")


def _open(connection: Connection, folder_id: int, kind: str, value: str) -> set[str]:
    rows = connection.execute(
        text(
            f"SELECT DISTINCT {value} FROM referential_records "  # noqa: S608 idem
            "WHERE folder_id = :folder_id AND kind = :kind AND gone_at IS NULL "
            "AND closed_at IS NULL"
        ),
        {"folder_id": folder_id, "kind": kind},
    )
    return {value for value in rows.scalars() if value is not None}


def cut_codes(connection: Connection, folder_id: int) -> list[tuple[str, str]]:
    """The auxiliary codes that go to Loop shortened, each with its short form."""
    rows = connection.execute(
        text(
            "SELECT code, loop_code FROM auxiliary_codes WHERE folder_id = :folder_id "
            "AND code <> loop_code AND starts_with(code, loop_code) ORDER BY code"
        ),
        {"folder_id": folder_id},
    )
    return [(row.code, row.loop_code) for row in rows]


def collisions(connection: Connection, folder_id: int) -> list[str]:
    """What is said of the auxiliary codes whose entries wait for codes of their own."""
    rows = connection.execute(
        text(
            "SELECT message FROM cases WHERE folder_id = :folder_id AND state = 'open' "
            "AND reason = 'auxiliary_collision' ORDER BY id"
        ),
        {"folder_id": folder_id},
    )
    return list(rows.scalars())


def flags(connection: Connection, folder_id: int) -> dict[str, str]:
    """What is wrong with which list."""
    rows = connection.execute(
        text("SELECT kind, message FROM referential_flags WHERE folder_id = :id ORDER BY kind"),
        {"id": folder_id},
    )
    return {row.kind: row.message for row in rows}


@dataclass(frozen=True, slots=True)
class FolderState:
    """A registered folder. `reason` and `said` are of the case that holds it or its firm; `away`
    says why Loop is not asked for the moment.
    """

    id: int
    firm: str
    code: str
    create_accounts: bool
    open_from: dt.date | None
    open_to: dt.date | None
    refreshed_at: dt.datetime | None
    connector: str | None
    reason: str | None
    said: str | None
    away: str | None


def folder_state(connection: Connection, firm: str, folder: str) -> FolderState | None:
    """None: no such folder is registered."""
    row = connection.execute(
        text("""
        SELECT fo.id, f.code AS firm, fo.code, fo.create_accounts, fo.open_from, fo.open_to,
               fo.refreshed_at, f.connector, c.reason, c.message AS said,
               coalesce(o.message, CASE WHEN f.paused_until > now() THEN f.pause_reason END) AS away
        FROM folders fo JOIN firms f ON f.id = fo.firm_id
        LEFT JOIN cases c ON c.id = coalesce(f.held_by, fo.held_by)
        LEFT JOIN outages o ON o.since IS NOT NULL
        WHERE f.code = :firm AND fo.code = :folder AND fo.registered_at IS NOT NULL
        """),
        {"firm": firm, "folder": folder},
    ).one_or_none()
    return None if row is None else FolderState(**row._asdict())
