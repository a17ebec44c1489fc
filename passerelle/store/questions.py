"""What Loop is asked about, and what it said (engine rules 10 to 14)."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, TextClause, text

from passerelle.domain.states import Closing, State
from passerelle.domain.verdict import Strategy, Verdict
from passerelle.store.claims import RUNG_APART
from passerelle.store.pauses import MAY_CALL, lets_pass

_LOOK_AGAIN_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Sent:
    """An entry as it was sent to a folder.

    `twins`: origins of other entries with the same place and lines; `alone`: there is none, with
    an origin or without. `count_before`: how often such an entry was in Loop before this one was
    sent; None where nobody knows.
    """

    folder_id: int
    folder: str
    lines: Sequence[Mapping[str, Any]]
    twins: Sequence[str] = ()
    alone: bool = True
    count_before: int | None = 0

    @property
    def origin(self) -> str | None:
        """None where it was sent to be found by piece."""
        origin: str | None = self.lines[0].get("ecritureOrigine")
        return origin

    @property
    def strategy(self) -> Strategy:
        return Strategy.PIECE if self.origin is None else Strategy.ORIGIN


@dataclass(frozen=True, slots=True)
class Question:
    """An entry that Loop is asked about, with its attempt and its firm's sealed credentials.

    `asked` counts the questions before; `before` is the last verdict. `open_seconds` runs since
    the mark, `absent_seconds` since the entry was first seen to be absent in a way that counts,
    `failed_seconds` since Loop said, with `message`, that the import had failed; `done`: Loop said
    that it was done.
    """

    entry: int
    state: State
    import_id: int
    firm_id: int
    sent: Sent
    asked: int
    open_seconds: float
    absent_seconds: float | None
    failed_seconds: float | None
    done: bool
    message: str | None
    before: Verdict | None
    api_key: bytes
    api_secret: bytes
    subscription_key: bytes


# Nobody is asked while the firm is held or left alone, or the folder is held, but for what landed
# differently there: reading goes on. Ringing takes the place of a turn for as long as a bell may
# be on its way.
MAY_ASK = f"""
{MAY_CALL} AND ({lets_pass("fo")} OR EXISTS (
    SELECT FROM cases c WHERE c.id = fo.held_by AND c.reason = 'landed_differently'))
"""
_TAKE = """
UPDATE entries e SET {due} = now() + make_interval(secs => :seconds)
FROM attempts a, imports i, folders fo, firms f
WHERE e.id = :entry AND e.state IN ({states})
  AND e.{due} <= now() + make_interval(secs => :apart)
  AND a.id = (SELECT max(id) FROM attempts WHERE entry = e.id)
  AND (a.closed_as IS NULL OR e.state = 'synced') AND i.id = a.import_id
  AND fo.id = e.folder_id AND f.id = e.firm_id AND {may_ask}
RETURNING e.id AS entry, e.state, a.import_id, e.firm_id, e.folder_id, fo.code AS folder, a.lines,
    a.count_before,
    ARRAY(SELECT DISTINCT t.lines->0->>'ecritureOrigine' FROM attempts t
          WHERE t.folder_id = a.folder_id AND t.twin_key = a.twin_key AND t.entry <> a.entry)
        AS twins,
    (SELECT count(*) FROM questions q WHERE q.entry = e.id AND q.import_id = i.id) AS asked,
    extract(epoch FROM now() - i.sent_at)::float AS open_seconds,
    extract(epoch FROM now() - a.absent_at)::float AS absent_seconds,
    CASE WHEN i.status = 4 THEN extract(epoch FROM now() - i.ended_at)::float END
        AS failed_seconds,
    coalesce(i.status = 3, false) AS done,
    i.message,
    (SELECT verdict FROM questions q WHERE q.entry = e.id AND q.import_id = i.id
     ORDER BY q.id DESC LIMIT 1) AS before,
    f.api_key, f.api_secret, f.subscription_key
"""
_TAKE_UNCERTAIN = text(_TAKE.format(due="due_at", states="'uncertain'", may_ask=MAY_ASK))
_TAKE_AGAIN = text(_TAKE.format(due="read_again_at", states="'posted', 'synced'", may_ask=MAY_ASK))


def take_question(connection: Connection, entry: int, seconds: float) -> Question | None:
    """Take a question for so many seconds; None where it is not due, or not open any more."""
    return _taken(connection, _TAKE_UNCERTAIN, entry, seconds)


def take_second_look(connection: Connection, entry: int, seconds: float) -> Question | None:
    """The same of what is to be read again: a sample, posted, or synced and sent more than once."""
    return _taken(connection, _TAKE_AGAIN, entry, seconds)


def _taken(
    connection: Connection, statement: TextClause, entry: int, seconds: float
) -> Question | None:
    row = connection.execute(
        statement, {"entry": entry, "seconds": seconds, "apart": RUNG_APART}
    ).one_or_none()
    if row is None:
        return None
    found = row._asdict()
    sent = _sent(*(found.pop(name) for name in _SENT))
    before = found.pop("before")
    return Question(
        sent=sent,
        state=State(found.pop("state")),
        before=None if before is None else Verdict(before),
        **found,
    )


_SENT = ("folder_id", "folder", "lines", "twins", "count_before")


def _sent(
    folder_id: int,
    folder: str,
    lines: list[dict[str, Any]],
    twins: Sequence[str | None],
    count_before: int | None,
) -> Sent:
    origins = tuple(origin for origin in twins if origin is not None)
    if not twins and count_before is None:
        # Nobody counts before where there is nothing to be mistaken for.
        count_before = 0
    return Sent(folder_id, folder, lines, origins, not twins, count_before)


# Whatever was given up once may land late.
_LOOK_AGAIN = text("""
UPDATE entries SET read_again_at = now() + make_interval(secs => :seconds)
WHERE id IN (
    SELECT e.id FROM entries e WHERE e.id = ANY(:entries) AND e.state = 'synced' AND EXISTS (
        SELECT FROM attempts a WHERE a.entry = e.id AND a.closed_as IN ('proven_absent', 'settled'))
    ORDER BY e.id FOR UPDATE)
""")


def look_again(connection: Connection, entries: Sequence[int]) -> None:
    """Read those of these synced entries again, later, that were sent more than once (rule 5)."""
    connection.execute(_LOOK_AGAIN, {"entries": list(entries), "seconds": _LOOK_AGAIN_SECONDS})


_READ_BACK = text("""
UPDATE entries SET read_again_at = now()
WHERE id IN (SELECT id FROM entries WHERE id = ANY(:entries) ORDER BY id FOR UPDATE)
""")


def read_back(connection: Connection, entries: Sequence[int]) -> None:
    """Read these posted entries now: samples of an import that Loop calls done (rule 14)."""
    connection.execute(_READ_BACK, {"entries": list(entries)})


def samples_left(connection: Connection, import_id: int) -> bool:
    """Whether samples of an import are still to be read."""
    return bool(
        connection.execute(
            text(
                "SELECT EXISTS (SELECT FROM attempts a JOIN entries e ON e.id = a.entry "
                "WHERE a.import_id = :import_id AND a.closed_as IS NULL AND e.state = 'posted' "
                "AND e.read_again_at IS NOT NULL)"
            ),
            {"import_id": import_id},
        ).scalar_one()
    )


def looked_again(connection: Connection, entry: int) -> None:
    connection.execute(
        text("UPDATE entries SET read_again_at = NULL WHERE id = :entry"), {"entry": entry}
    )


def look_later(connection: Connection, entry: int, seconds: float) -> None:
    """Of what is to be read again, and could not be now."""
    connection.execute(
        text(
            "UPDATE entries SET read_again_at = now() + make_interval(secs => :seconds) "
            "WHERE id = :entry AND read_again_at IS NOT NULL"
        ),
        {"entry": entry, "seconds": seconds},
    )


@dataclass(frozen=True, slots=True)
class Seen:
    """What Loop showed of an entry, how it was asked, and in how many rows."""

    strategy: Strategy
    verdict: Verdict
    rows: int


def note(
    connection: Connection, question: Question, seen: Seen | None, message: str | None = None
) -> None:
    """What came of a question; nothing seen where Loop did not answer."""
    connection.execute(
        text(
            "INSERT INTO questions "
            "(firm_id, entry, import_id, strategy, rows_found, verdict, message) "
            "VALUES (:firm_id, :entry, :import_id, :strategy, :rows_found, :verdict, :message)"
        ),
        {
            "firm_id": question.firm_id,
            "entry": question.entry,
            "import_id": question.import_id,
            "strategy": None if seen is None else seen.strategy,
            "rows_found": None if seen is None else seen.rows,
            "verdict": None if seen is None else seen.verdict,
            "message": message,
        },
    )


_DUE = """
UPDATE entries SET due_at = now() + make_interval(secs => :seconds)
WHERE id IN (SELECT id FROM entries WHERE {which} AND state = 'uncertain' ORDER BY id FOR UPDATE)
"""
_ASK_AGAIN = text(_DUE.format(which="id = :entry"))
# Of a request that is only supposed each is asked for once at first: what became of one tells
# nothing of the others.
_ASK_OTHERS = text(
    _DUE.format(
        which="id <> :entry AND id IN ("
        "SELECT a.entry FROM attempts a JOIN imports i ON i.id = a.import_id "
        "WHERE i.id = :import_id AND a.closed_as IS NULL AND (NOT i.supposed OR EXISTS ("
        "SELECT FROM questions q WHERE q.entry = a.entry AND q.import_id = i.id)))"
    )
)


def ask_again(connection: Connection, entry: int, seconds: float) -> None:
    connection.execute(_ASK_AGAIN, {"entry": entry, "seconds": seconds})


def ask_others(connection: Connection, question: Question, seconds: float) -> None:
    """When Loop is asked about the other entries of the same import request."""
    connection.execute(
        _ASK_OTHERS,
        {"entry": question.entry, "import_id": question.import_id, "seconds": seconds},
    )


def is_open(connection: Connection, question: Question) -> bool:
    """Whether nothing has become of it since it was taken.

    To be asked with the import locked: so does whoever ends an attempt or moves what is uncertain.
    """
    return bool(
        connection.execute(
            text(
                "SELECT EXISTS (SELECT FROM entries e JOIN attempts a ON a.entry = e.id "
                "WHERE e.id = :entry AND e.state = :state AND a.import_id = :import_id "
                "AND a.closed_as IS NULL)"
            ),
            {
                "entry": question.entry,
                "state": question.state,
                "import_id": question.import_id,
            },
        ).scalar_one()
    )


def close_attempts(
    connection: Connection, entries: Sequence[int], import_id: int, closing: Closing
) -> None:
    """Give the open attempts of an import request for these entries their definite end."""
    connection.execute(
        text(
            "UPDATE attempts SET closed_at = now(), closed_as = :closing "
            "WHERE entry = ANY(:entries) AND import_id = :import_id AND closed_as IS NULL"
        ),
        {"entries": list(entries), "import_id": import_id, "closing": closing},
    )


@dataclass(frozen=True, slots=True)
class Half:
    """A half of an import request, by a name of its own, with all its entries."""

    name: uuid.UUID
    entries: Sequence[int]


def half_of(connection: Connection, question: Question) -> Half | None:
    """The half of its import request that the entry is in; None where it was alone, or where the
    request is only supposed.
    """
    entries = list(
        connection.execute(
            text(
                "SELECT entry FROM attempts WHERE import_id = :id AND NOT ("
                "SELECT supposed FROM imports WHERE id = :id) ORDER BY entry"
            ),
            {"id": question.import_id},
        ).scalars()
    )
    if len(entries) <= 1:
        return None
    middle = (len(entries) + 1) // 2
    second = entries.index(question.entry) >= middle
    name = uuid.uuid5(uuid.NAMESPACE_OID, f"passerelle/import/{question.import_id}/{second}")
    return Half(name, entries[middle:] if second else entries[:middle])


def undecided_in(connection: Connection, case_id: int) -> bool:
    """Whether a case holds an entry whose end is not known."""
    return bool(
        connection.execute(
            text(
                "SELECT EXISTS (SELECT FROM entries e JOIN attempts a ON a.entry = e.id "
                "WHERE e.case_id = :case_id AND a.closed_as IS NULL)"
            ),
            {"case_id": case_id},
        ).scalar_one()
    )
