"""What is known of a folder before entries are sent to it; which entries and cases wait for it."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from passerelle.domain.preflight import Chart, Uses, root
from passerelle.domain.referential import Kind
from passerelle.domain.states import MISSED, Reason
from passerelle.store.case_history import Act
from passerelle.store.cases import Ending
from passerelle.store.referentials import accounts_alike
from passerelle.store.revisions import end_case


@dataclass(frozen=True, slots=True)
class Known:
    """A folder's chart as far as entries use it, and how old that knowledge is.

    `accounts`: as the chart writes them. `doubtful`: lists that could not be read, or not be
    believed, the last time. `told`: codes that a case is open about, each with its reason; to be
    asked for where something is lacking.
    """

    chart: Chart
    accounts: Mapping[str, bool]
    now: dt.datetime
    read_from: dt.datetime | None
    doubtful: frozenset[Kind]
    told: frozenset[tuple[Reason, str]] = frozenset()


_FOLDER = text("""
SELECT now() AS now, fo.open_from, fo.open_to, fo.create_accounts, fo.refreshed_from,
    ARRAY(SELECT kind FROM referential_flags WHERE folder_id = fo.id) AS doubtful,
    ARRAY(SELECT kind FROM (VALUES ('account'), ('journal')) list (kind)
          WHERE EXISTS (SELECT FROM referential_records r WHERE r.folder_id = fo.id
                        AND r.kind = list.kind AND r.gone_at IS NULL)) AS lists
FROM folders fo WHERE fo.id = :folder_id
""")

_JOURNALS = text("""
SELECT code, closed_at IS NOT NULL AS closed FROM referential_records
WHERE folder_id = :folder_id AND kind = 'journal' AND gone_at IS NULL AND code = ANY(:codes)
""")

_TOLD = text("""
SELECT reason, cause FROM cases
WHERE folder_id = :folder_id AND state = 'open' AND reason = ANY(:missed)
""")


def known(connection: Connection, folder_id: int, uses: Sequence[Uses]) -> Known:
    """What is known of a folder for these entries.

    A list of which nothing is known, or nothing is left, says nothing of what is not in it: a
    folder without accounts or journals is none.
    """
    folder = connection.execute(_FOLDER, {"folder_id": folder_id}).one()
    accounts = {account for one in uses for account in one.accounts}
    values = {"folder_id": folder_id, "codes": sorted({one.journal for one in uses})}
    journals = {row.code: row.closed for row in connection.execute(_JOURNALS, values)}
    alike = accounts_alike(connection, folder_id, accounts)
    by_root: dict[str, bool] = {}
    for code, closed in alike.items():
        by_root[root(code)] = closed and by_root.get(root(code), True)
    return Known(
        Chart(
            by_root if Kind.ACCOUNT in folder.lists else None,
            journals if Kind.JOURNAL in folder.lists else None,
            folder.create_accounts,
            folder.open_from,
            folder.open_to,
        ),
        alike,
        folder.now,
        folder.refreshed_from,
        frozenset(map(Kind, folder.doubtful)),
    )


def told(connection: Connection, folder_id: int) -> frozenset[tuple[Reason, str]]:
    """The codes that a case is open about, each with its reason."""
    rows = connection.execute(_TOLD, {"folder_id": folder_id, "missed": sorted(MISSED)})
    return frozenset((Reason(row.reason), row.cause) for row in rows)


def read_soon(connection: Connection, folder_id: int) -> None:
    """Read the folder's lists as soon as may be, but not again and again.

    What has failed is due by itself; where the folder is locked, somebody is just reading.
    """
    connection.execute(_READ_SOON, {"folder_id": folder_id, "apart": _READ_APART})


_READ_APART = 60.0
_READ_SOON = text("""
UPDATE folders SET refresh_at = now() WHERE id = (
    SELECT id FROM folders WHERE id = :folder_id AND refresh_failures = 0 AND refresh_at > now()
      AND (refreshed_at IS NULL OR refreshed_at <= now() - make_interval(secs => :apart))
    FOR NO KEY UPDATE SKIP LOCKED)
""")


def miss(connection: Connection, entries: Sequence[int]) -> None:
    """These entries have seen that they lack something."""
    connection.execute(
        text(
            "UPDATE entries SET lacking_since = coalesce(lacking_since, now()) "
            "WHERE id = ANY(:ids) AND state = 'waiting'"
        ),
        {"ids": list(entries)},
    )


def renewed(connection: Connection, links: Mapping[int, str]) -> list[int]:
    """Which of these entries have another link by now, each locked."""
    rows = connection.execute(
        text(
            "SELECT id, entry -> 'attachment' ->> 'url' AS link FROM entries "
            "WHERE id = ANY(:ids) ORDER BY id FOR UPDATE"
        ),
        {"ids": sorted(links)},
    )
    return [row.id for row in rows if (row.link or "") != links[row.id]]


def try_again(connection: Connection, folder_id: int) -> None:
    """The lists have been read: what waits for that has its turn."""
    connection.execute(
        text(
            "UPDATE entries SET due_at = now() WHERE id IN ("
            "SELECT id FROM entries WHERE folder_id = :folder_id "
            "AND state IN ('received', 'waiting') AND lacking_since IS NOT NULL "
            "ORDER BY id FOR UPDATE)"
        ),
        {"folder_id": folder_id},
    )


_CURED = text("""
SELECT c.id FROM cases c CROSS JOIN LATERAL (
    SELECT count(*) AS known, count(*) FILTER (WHERE r.closed_at IS NULL) AS open
    FROM referential_records r
    WHERE r.folder_id = c.folder_id AND r.gone_at IS NULL AND CASE
        WHEN c.reason IN ('unknown_account', 'closed_account')
            THEN r.kind = 'account' AND rtrim(r.code, '0') = rtrim(c.cause, '0')
        ELSE r.kind = 'journal' AND r.code = c.cause END) found
WHERE c.folder_id = :folder_id AND c.state = 'open' AND c.reason = ANY(:missed) AND CASE
    WHEN c.reason IN ('unknown_account', 'unknown_journal') THEN found.known > 0
    ELSE found.open > 0 OR found.known = 0 END
ORDER BY c.id
""")


def cured(connection: Connection, folder_id: int) -> list[int]:
    """The cases about what the folder lacked, and does not lack any more."""
    values = {"folder_id": folder_id, "missed": sorted(MISSED)}
    return list(connection.execute(_CURED, values).scalars())


_SIDE = """
(SELECT code FROM referential_records
 WHERE folder_id = :folder_id AND kind = :kind AND gone_at IS NULL AND closed_at IS NULL
   AND starts_with(code, :start) AND code {side} :code
 ORDER BY code {order} LIMIT :most)
"""
_BESIDE = text(
    f"{_SIDE.format(side='<', order='DESC')} UNION ALL {_SIDE.format(side='>=', order='ASC')}"
)


def beside(
    connection: Connection, folder_id: int, kind: Kind, code: str, start: str, most: int
) -> list[str]:
    """So many open codes of a list at most on either side of a code, that start so."""
    values = {"folder_id": folder_id, "kind": kind, "code": code, "start": start, "most": most}
    return list(connection.execute(_BESIDE, values).scalars())


_HAS_COME = "The folder has it by now."


def heal_cured(connection: Connection, folder_id: int) -> None:
    """What the folder lacked and does not lack any more is over; what waited has its turn."""
    for case_id in cured(connection, folder_id):
        end_case(connection, case_id, Ending(Act.HEALED, why=_HAS_COME))
