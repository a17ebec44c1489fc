"""Import requests: the answer to each, what it means for its entries, and its polls."""

from dataclasses import dataclass

from sqlalchemy import Connection, text

from passerelle.domain.backoff import ASK_FIRST
from passerelle.domain.outcome import Answer, Outcome
from passerelle.domain.states import Closing, State
from passerelle.store.cases import hold, open_case, refusal, refused
from passerelle.store.pauses import MAY_CALL
from passerelle.store.questions import look_again, samples_left
from passerelle.store.revisions import settle
from passerelle.store.transitions import Change, halves, move


@dataclass(frozen=True, slots=True)
class Import:
    """An import request and those of its entries whose attempt is open."""

    id: int
    firm_id: int
    folder_id: int
    entries: list[int]


def lock_import(connection: Connection, import_id: int) -> Import:
    """The import request, locked, so that two answers to it are recorded one after the other."""
    row = connection.execute(
        text("SELECT id, firm_id, folder_id FROM imports WHERE id = :id FOR UPDATE"),
        {"id": import_id},
    ).one()
    open_ = connection.execute(
        text("SELECT entry FROM attempts WHERE import_id = :id AND closed_as IS NULL ORDER BY id"),
        {"id": import_id},
    ).scalars()
    return Import(row.id, row.firm_id, row.folder_id, list(open_))


def is_first(connection: Connection, request: Import) -> bool:
    """Whether Loop has called no other import of the folder done."""
    return not connection.execute(
        text(
            "SELECT EXISTS (SELECT FROM imports WHERE folder_id = :folder_id AND status = 3 "
            "AND id <> :id)"
        ),
        {"folder_id": request.folder_id, "id": request.id},
    ).scalar_one()


def posted_of(connection: Connection, request: Import) -> list[int]:
    """Its entries that nothing has become of but that Loop took them."""
    rows = connection.execute(
        text("SELECT id FROM entries WHERE id = ANY(:ids) AND state = 'posted' ORDER BY id"),
        {"ids": request.entries},
    )
    return list(rows.scalars())


def write_answer(
    connection: Connection, import_id: int, answer: Answer, poll_in: float | None
) -> bool:
    """What came back for the POST; with `poll_in`, when Loop is asked how far it is.

    False where it is known already: recording is tried again when the connection broke in the
    commit, and only an unknown answer may give way to another.
    """
    written = connection.execute(
        text(
            "UPDATE imports SET answered_at = now(), answer = :answer, http_status = :status, "
            "message = :message, request_id = :request_id, "
            "poll_at = now() + make_interval(secs => CAST(:poll_in AS float)) "
            "WHERE id = :id AND (answered_at IS NULL OR answer = 'unknown')"
        ),
        {
            "id": import_id,
            "answer": answer.sort,
            "status": answer.http_status,
            "message": answer.message or None,
            "request_id": answer.request_id,
            "poll_in": poll_in,
        },
    )
    return written.rowcount == 1


def given_up(connection: Connection, import_id: int) -> list[int]:
    """Entries of an import request that were taken for absent, so that they are sent again."""
    rows = connection.execute(
        text(
            "SELECT a.entry FROM attempts a JOIN entries e ON e.id = a.entry "
            "WHERE a.import_id = :id AND a.closed_as IN ('settled', 'proven_absent') "
            "AND (e.state <> 'synced' OR EXISTS ("
            "  SELECT FROM attempts later WHERE later.entry = a.entry AND later.id > a.id)) "
            "ORDER BY a.entry"
        ),
        {"id": import_id},
    )
    return list(rows.scalars())


# From where an answer may move an entry. An open attempt of the import is the guard: nothing
# was sent since. `posted` as a late answer may find the entry anywhere (rule 4).
MOVED_FROM = {
    State.POSTED: {
        State.POSTING,
        State.UNCERTAIN,
        State.RECEIVED,
        State.WAITING,
        State.PARKED,
    },
    State.SYNCED: {State.POSTED, State.UNCERTAIN, State.PARKED},
    State.UNCERTAIN: {State.POSTING, State.POSTED},
    State.WAITING: {State.POSTING, State.POSTED, State.UNCERTAIN},
    State.PARKED: {State.POSTING, State.POSTED, State.UNCERTAIN},
}


def apply(
    connection: Connection, request: Import, outcome: Outcome, message: str, due_in: float = 0.0
) -> None:
    """Let an outcome come true for every entry of an import request.

    A hold is taken before the entries are touched: folder first, then entries, is the order in
    which everybody locks.
    """
    case_id = _case(connection, request, outcome, message)
    if outcome.closing is not None:
        connection.execute(
            text(
                "UPDATE attempts SET closed_at = now(), closed_as = :closing "
                "WHERE import_id = :import_id AND closed_as IS NULL"
            ),
            {"import_id": request.id, "closing": outcome.closing},
        )
    if outcome.to is State.UNCERTAIN:
        # Most imports are worked off by then.
        due_in = max(due_in, ASK_FIRST)
    parts = halves(request.entries) if outcome.halve else [(request.entries, None)]
    for ids, half in parts:
        change = Change(
            outcome.to, outcome.reason, message or None, case_id, request.id, due_in, half
        )
        move(connection, ids, MOVED_FROM[outcome.to], change)
    settle(connection, request.entries)
    if outcome.to is State.SYNCED:
        look_again(connection, request.entries)


def end_if_read(connection: Connection, request: Import) -> None:
    """An import that Loop calls done is believed once the last of its samples was read."""
    if not samples_left(connection, request.id):
        apply(connection, request, Outcome(State.SYNCED, Closing.ENDED), "")


def _case(connection: Connection, request: Import, outcome: Outcome, message: str) -> int | None:
    if outcome.reason is None:
        return None
    place = (request.firm_id, request.folder_id)
    if outcome.hold:
        return hold(connection, refusal(*place, outcome.reason, message))
    return open_case(connection, refused(*place, message))


@dataclass(frozen=True, slots=True)
class Poll:
    """An import whose status is to be asked, with its firm's sealed credentials.

    `open_seconds` runs since it was sent.
    """

    id: int
    firm_id: int
    folder_id: int
    request_id: str
    polls: int
    open_seconds: float
    api_key: bytes
    api_secret: bytes
    subscription_key: bytes


_TAKE_POLL = text(f"""
UPDATE imports i SET poll_at = now() + make_interval(secs => :seconds)
FROM firms f
WHERE i.id = :id AND i.poll_at <= now() AND f.id = i.firm_id AND {MAY_CALL}
RETURNING i.id, i.firm_id, i.folder_id, i.request_id, i.polls,
    extract(epoch FROM now() - i.sent_at)::float AS open_seconds,
    f.api_key, f.api_secret, f.subscription_key
""")  # noqa: S608 a literal of a module beside this one


def take_poll(connection: Connection, import_id: int, seconds: float) -> Poll | None:
    """Take a due poll for so many seconds; None where it is not due or the firm is left alone."""
    row = connection.execute(_TAKE_POLL, {"id": import_id, "seconds": seconds}).one_or_none()
    return None if row is None else Poll(**row._asdict())


def poll_again(
    connection: Connection, import_id: int, polls: int, status: int | None, poll_in: float
) -> None:
    """Not ended yet after so many polls; `status` where Loop told one."""
    connection.execute(
        text(
            "UPDATE imports SET status = coalesce(:status, status), polls = :polls, "
            "rung_at = NULL, poll_at = now() + make_interval(secs => :poll_in) WHERE id = :id"
        ),
        {"id": import_id, "polls": polls, "status": status, "poll_in": poll_in},
    )


def write_end(connection: Connection, import_id: int, status: int | None, message: str) -> None:
    """The import has ended, or Loop will not tell any more: no more polls."""
    connection.execute(
        text(
            "UPDATE imports SET status = :status, message = coalesce(:message, message), "
            "polls = polls + 1, poll_at = NULL, ended_at = now() WHERE id = :id"
        ),
        {"id": import_id, "status": status, "message": message or None},
    )
