"""Reads for people and their programs: rows under the contract's names, over the whole deployment.

Contract section 4 names the fields.
"""

import heapq
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, text

from passerelle.domain.states import State
from passerelle.store import counts, missing
from passerelle.store.identity import went_back

Row = dict[str, Any]

_PAGE = 500
"""Rows fetched at once from the server's cursor."""


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection that changes nothing and sees one moment, however long its rows take to read."""
    with engine.connect() as connection:
        connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with connection.begin():
            # The reader may be a person with a pager; nobody waits for a lock of a reader.
            connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = '1h'"))
            yield connection


def _rows(connection: Connection, statement: str, **values: object) -> Iterator[Row]:
    """Rows from a cursor on the server: a table is never in memory as a whole."""
    options = {"yield_per": _PAGE}
    with connection.execute(text(statement), values, execution_options=options) as result:
        for row in result:
            yield row._asdict()


def _row(connection: Connection, statement: str, **values: object) -> Row | None:
    row = connection.execute(text(statement), values).one_or_none()
    return None if row is None else row._asdict()


def firms(connection: Connection) -> Iterator[Row]:
    """Registered or not; the keys are sealed."""
    return _rows(
        connection,
        """
        SELECT f.code, f.registered_at, f.api_key, f.subscription_key,
               (SELECT count(*) FROM folders WHERE firm_id = f.id) AS folders,
               f.held_by AS case_id, f.paused_until, f.pause_reason,
               (SELECT url FROM endpoints WHERE firm_id = f.id AND audience = 'outcome')
                   AS outcome_url,
               (SELECT url FROM endpoints WHERE firm_id = f.id AND audience = 'alert') AS alert_url
        FROM firms f ORDER BY f.code
        """,
    )


def folders(connection: Connection, firm: str | None = None) -> Iterator[Row]:
    """Registered or not; of one firm's code or of all."""
    return _rows(
        connection,
        """
        SELECT fo.id, f.code AS firm, fo.code, fo.name, fo.open_from, fo.open_to,
               fo.create_accounts, fo.registered_at, fo.held_by AS case_id, fo.refreshed_at,
               (SELECT count(*) FROM referential_flags WHERE folder_id = fo.id) AS flags
        FROM folders fo JOIN firms f ON f.id = fo.firm_id
        WHERE CAST(:firm AS text) IS NULL OR f.code = :firm ORDER BY f.code, fo.code
        """,
        firm=firm,
    )


_RECORDS = """
SELECT r.kind, r.code, r.label, r.since, r.changed_at, r.closed_at, r.reopened_at, r.gone_at,
       r.object_id, r.revision_id, r.record
FROM referential_records r
WHERE r.folder_id = :folder_id AND (CAST(:kind AS text) IS NULL OR r.kind = :kind)
  AND position(lower(:search) IN lower(r.code || ' ' || r.label)) > 0
  AND (r.closed_at IS NOT NULL OR NOT :closed)
ORDER BY r.kind, r.code
"""


def referential_records(
    connection: Connection, folder_id: int, kind: str | None, search: str, *, closed: bool
) -> Iterator[Row]:
    """What a folder has in Loop, by list and code: of one list or all, with `search` in code or
    label, `closed` only or all.
    """
    values = {"folder_id": folder_id, "kind": kind, "search": search, "closed": closed}
    return _rows(connection, _RECORDS, **values)


_ENTRIES = """
SELECT e.id, f.code AS firm, fo.code AS folder, e.entry_id, e.revision, e.event_id, e.state,
       e.reason, e.message, e.case_id,
       (SELECT count(*) FROM attempts a WHERE a.entry = e.id) AS attempts,
       (SELECT i.request_id FROM attempts a JOIN imports i ON i.id = a.import_id
        WHERE a.entry = e.id ORDER BY a.id DESC LIMIT 1) AS import_request_id,
       e.cuts, e.received_at, e.synced_at, e.erased_at
FROM entries e JOIN firms f ON f.id = e.firm_id JOIN folders fo ON fo.id = e.folder_id
"""

_ENTRY_FILTERS = {
    "firm": "f.code = :firm",
    "folder": "fo.code = :folder",
    # Folder by folder: the index begins with the folder, and there are far fewer of them.
    "entry_id": """e.id IN (
        SELECT one.id FROM folders place CROSS JOIN LATERAL (
            SELECT id FROM entries WHERE firm_id = place.firm_id AND folder_id = place.id
            AND entry_id = :entry_id OFFSET 0) one)""",
    "state": "e.state = :state",
    "reason": "e.reason = :reason",
}
# What goes with these states is indexed: nearly all entries are in another.
_INDEXED: dict[object, str] = {
    State.PARKED: "e.case_id IS NOT NULL",
    State.POSTED: f"e.id IN ({counts.POSTED})",
}


def entries(connection: Connection, **wanted: object) -> Iterator[Row]:
    """The entries that have all `wanted` values (keys of `_ENTRY_FILTERS`), in order of id.

    `import_request_id` is that of the latest attempt.
    """
    conditions = [_ENTRY_FILTERS[name] for name in wanted]
    if (indexed := _INDEXED.get(wanted.get("state"))) is not None:
        conditions.append(indexed)
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    return _rows(connection, f"{_ENTRIES} {where} ORDER BY e.id", **wanted)


def entry(connection: Connection, id_: int) -> Row | None:
    return _row(connection, f"{_ENTRIES} WHERE e.id = :id", id=id_)


def content(connection: Connection, id_: int) -> Row:
    """Of an entry, the event's own `entry` (None: erased), when it was validated, and when its
    turns are.
    """
    row = connection.execute(
        text(
            "SELECT occurred_at, due_at, read_again_at, "
            "CASE WHEN erased_at IS NULL THEN entry END AS entry FROM entries WHERE id = :id"
        ),
        {"id": id_},
    )
    return row.one()._asdict()


def contents(
    connection: Connection, firm: str, folder: str, entry_ids: Sequence[str], revision: int
) -> dict[str, Any]:
    """The event's own `entry` (None: erased) of those that are known, by the hub's id."""
    rows = connection.execute(
        text(
            "SELECT e.entry_id, CASE WHEN e.erased_at IS NULL THEN e.entry END AS entry "
            "FROM entries e "
            "JOIN folders fo ON (fo.firm_id, fo.id) = (e.firm_id, e.folder_id) "
            "JOIN firms f ON f.id = e.firm_id "
            "WHERE f.code = :firm AND fo.code = :folder AND e.entry_id = ANY(:entry_ids) "
            "AND e.revision = :revision"
        ),
        {"firm": firm, "folder": folder, "entry_ids": list(entry_ids), "revision": revision},
    )
    return {row.entry_id: row.entry for row in rows}


def transitions(connection: Connection, entry: int) -> Iterator[Row]:
    return _rows(
        connection,
        "SELECT at, from_state, to_state, reason, message, import_id FROM transitions "
        "WHERE entry = :entry ORDER BY id",
        entry=entry,
    )


def sendings(connection: Connection, entry: int) -> Iterator[Row]:
    """Each attempt: the lines as they were sent (none: erased), and what came of the import
    request.
    """
    return _rows(
        connection,
        """
        SELECT i.id AS import_id, i.supposed, i.sent_at, i.answered_at, i.answer, i.http_status,
               i.message, i.request_id AS import_request_id, i.status, i.polls, i.ended_at,
               a.closed_at, a.closed_as,
               CASE WHEN e.erased_at IS NULL THEN a.lines ELSE '[]' END AS lines
        FROM attempts a JOIN imports i ON i.id = a.import_id JOIN entries e ON e.id = a.entry
        WHERE a.entry = :entry ORDER BY a.id
        """,
        entry=entry,
    )


def questions(connection: Connection, entry: int) -> Iterator[Row]:
    """What Loop was asked about it, and said."""
    return _rows(
        connection,
        "SELECT asked_at, import_id, strategy, rows_found, verdict, message FROM questions "
        "WHERE entry = :entry ORDER BY id",
        entry=entry,
    )


_CASES = """
SELECT c.id, c.scope, f.code AS firm, fo.code AS folder, one.entry_id, one.revision,
       one.id AS entry, c.reason, c.message,
       (SELECT count(*) FROM entries e WHERE e.case_id = c.id) AS held,
       c.state, c.opened_at, c.closed_at, c.last_probe_at, c.probe_at, c.probe_entry, f.connector
FROM cases c JOIN firms f ON f.id = c.firm_id LEFT JOIN folders fo ON fo.id = c.folder_id
LEFT JOIN entries one ON c.scope = 'entry'
    AND one.id = CAST(substring(c.cause FROM '^entry ([0-9]+)$') AS bigint)
"""


def cases(connection: Connection) -> Iterator[Row]:
    """Cases, open and closed, in order of id; `held` counts the entries that wait on each."""
    return _rows(connection, f"{_CASES} ORDER BY c.id")


def case(connection: Connection, id_: int) -> Row | None:
    return _row(connection, f"{_CASES} WHERE c.id = :id", id=id_)


def case_acts(connection: Connection, case_id: int) -> Iterator[Row]:
    """What people have done about a case, in order."""
    return _rows(
        connection,
        "SELECT at, act, who, why FROM case_acts WHERE case_id = :case_id ORDER BY id",
        case_id=case_id,
    )


def held_entries(connection: Connection, case_id: int) -> Iterator[Row]:
    """The entries that wait on a case, in order of id."""
    return _rows(
        connection, f"{_ENTRIES} WHERE e.case_id = :case_id ORDER BY e.id", case_id=case_id
    )


_TOLD = """
SELECT f.code AS firm, 'entries.outcome' AS type, o.sequence,
       coalesce(o.folder, fo.code) AS folder, coalesce(o.entry_id, e.entry_id) AS entry_id,
       coalesce(o.revision, e.revision) AS revision,
       coalesce(o.event_id, CAST(e.event_id AS text)) AS event_id, o.entry,
       o.state, o.reason, o.message, o.case_id, o.at, m.webhook_id, m.told_at,
       coalesce(m.failures, 0) AS failures
FROM outcomes o JOIN firms f ON f.id = o.firm_id LEFT JOIN messages m ON m.id = o.message_id
LEFT JOIN entries e ON e.id = o.entry LEFT JOIN folders fo ON fo.id = e.folder_id
WHERE {which} ORDER BY o.id
"""
_TOLD_OTHERWISE = """
SELECT f.code AS firm, m.type, NULL AS sequence, fo.code AS folder, NULL AS entry_id,
       NULL AS revision, NULL AS event_id, NULL AS entry,
       m.seen ->> 'state' AS state, coalesce(c.reason, m.seen ->> 'reason') AS reason,
       coalesce(c.message, m.seen ->> 'message') AS message, m.case_id, m.created_at AS at,
       m.webhook_id, m.told_at, m.failures
FROM messages m JOIN firms f ON f.id = m.firm_id LEFT JOIN cases c ON c.id = m.case_id
LEFT JOIN folders fo ON fo.id = coalesce(m.folder_id, c.folder_id)
WHERE m.first_sequence IS NULL AND {which} ORDER BY m.id
"""


def told(connection: Connection, firm: str | None) -> Iterator[Row]:
    """What was or will be told, of one firm's code or of all: outcomes and other messages as they
    came. `sequence` None: it stands in no message yet; `told_at` None: it has not been told.
    """
    which = "CAST(:firm AS text) IS NULL OR f.code = :firm"
    parts = (
        _rows(connection, statement.format(which=f"({which})"), firm=firm)
        for statement in (_TOLD, _TOLD_OTHERWISE)
    )
    return heapq.merge(*parts, key=lambda row: row["at"])


def entry_outcomes(connection: Connection, entry: int) -> Iterator[Row]:
    """What the hub is told of an entry."""
    return _rows(connection, _TOLD.format(which="o.entry = :entry"), entry=entry)


def receivers(connection: Connection) -> Iterator[Row]:
    """Of whom messages wait for some reason: `down_since`, with what words, and when it is tried
    next; how many messages wait in all (`waiting`), and how many are not taken by who takes others
    (`aside`). `listens` False: its address was taken away.
    """
    return _rows(
        connection,
        """
        SELECT f.code AS firm, ep.audience, ep.url IS NOT NULL AS listens, ep.down_since,
               ep.message, ep.due_at, m.waiting, m.aside
        FROM endpoints ep JOIN firms f ON f.id = ep.firm_id CROSS JOIN LATERAL (
            SELECT count(*) AS waiting, count(m.due_at) AS aside FROM messages m
            WHERE m.endpoint_id = ep.id AND m.told_at IS NULL) m
        WHERE ep.down_since IS NOT NULL OR m.aside > 0 OR (ep.url IS NULL AND m.waiting > 0)
        ORDER BY ep.down_since
        """,
    )


def refused_events(connection: Connection) -> Iterator[Row]:
    """Events refused at the door and not taken in since, in order of id."""
    return _rows(
        connection,
        "SELECT id, event_id, received_at, errors, deliveries FROM refused_events "
        "WHERE taken_in_at IS NULL ORDER BY id",
    )


def refused_event(connection: Connection, id_: int) -> Row | None:
    """One, taken in since or not, with its `body` as it came (bytes)."""
    return _row(
        connection,
        "SELECT id, event_id, received_at, errors, deliveries, last_received_at, taken_in_at, "
        "content_hash, body FROM refused_events WHERE id = :id",
        id=id_,
    )


STANDING = """
(SELECT count(*) FROM firms WHERE held_by IS NOT NULL) AS firms_on_hold,
(SELECT count(*) FROM folders WHERE held_by IS NOT NULL) AS folders_on_hold,
(SELECT count(*) FROM firms WHERE paused_until > now()) AS firms_paused,
(SELECT count(*) FROM endpoints WHERE down_since IS NOT NULL AND url IS NOT NULL) AS receivers_down,
(SELECT count(*) FROM messages WHERE told_at IS NULL) AS messages_waiting
"""


def status(connection: Connection) -> Row:
    """Counts of the whole deployment; `entries` has only the states that occur.

    An entry waits from its arrival until its turn has come: `received` or `waiting`. Where Loop is
    down, `loop_down_since` says since when and `loop_down_message` with what words; None elsewhere.
    """
    row = connection.execute(
        text(f"""
        SELECT
          (SELECT coalesce(round(extract(epoch FROM now() - min(received_at)), 1)::float, 0)
           FROM entries WHERE state IN ('received', 'waiting')) AS oldest_waiting_seconds,
          (SELECT count(*) FROM cases WHERE state = 'open') AS cases_open,
          {STANDING},
          (SELECT since FROM outages) AS loop_down_since,
          (SELECT message FROM outages WHERE since IS NOT NULL) AS loop_down_message,
          (SELECT count(*) FROM refused_events WHERE taken_in_at IS NULL) AS refused_events
        """)  # noqa: S608 a literal of this module
    )
    return {
        "entries": counts.by_state(connection),
        **row.one()._asdict(),
        "missing": missing.count(connection),
        "database_went_back": went_back(connection),
    }
