"""What is uncertain, and what Loop was asked and said about it (engine rules 10 to 12)."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, TextClause, text

from passerelle.domain.verdict import Verdict
from passerelle.store.abandoned import RUNG_APART

_LOOK_AGAIN_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Question:
    """An uncertain entry with its open attempt, and its firm's sealed credentials.

    `lines` are as they were sent; `asked` counts the questions before; `before` is the last
    verdict. `open_seconds` runs since the mark, `absent_seconds` since the entry was first seen to
    be absent in a way that counts, `failed_seconds` since Loop said, with `message`, that the
    import had failed.
    """

    entry: int
    import_id: int
    firm_id: int
    folder_id: int
    folder: str
    lines: list[dict[str, Any]]
    asked: int
    open_seconds: float
    absent_seconds: float | None
    failed_seconds: float | None
    message: str | None
    before: str | None
    api_key: bytes
    api_secret: bytes
    subscription_key: bytes


# Nobody is asked while the folder or firm is held or left alone; ringing takes the place of a turn
# for as long as a bell may be on its way.
_RING = """
UPDATE entries SET {due} = now() + make_interval(secs => :apart) WHERE id IN (
    SELECT e.id FROM entries e
    JOIN folders fo ON fo.id = e.folder_id JOIN firms f ON f.id = e.firm_id
    WHERE {which} AND e.{due} <= now()
      AND f.held_by IS NULL AND fo.held_by IS NULL AND f.registered_at IS NOT NULL
      AND (f.paused_until IS NULL OR f.paused_until <= now())
    ORDER BY e.{due} LIMIT :most FOR UPDATE OF e SKIP LOCKED)
RETURNING id, folder_id
"""
_RINGS = [
    text(_RING.format(due="due_at", which="e.state = 'uncertain'")),
    text(_RING.format(due="read_again_at", which="e.read_again_at IS NOT NULL")),
]


def entries_to_ask(connection: Connection, most: int) -> dict[int, list[int]]:
    """Entries that Loop is to be asked about by now, by folder: uncertain, or sent twice."""
    by_folder: dict[int, list[int]] = {}
    for ring in _RINGS:
        for row in connection.execute(ring, {"apart": RUNG_APART, "most": most}):
            by_folder.setdefault(row.folder_id, []).append(row.id)
    return by_folder


_TAKE = """
UPDATE entries e SET {due} = now() + make_interval(secs => :seconds)
FROM attempts a, imports i, folders fo, firms f
WHERE e.id = :entry AND e.state = '{state}'
  AND e.{due} <= now() + make_interval(secs => :apart)
  AND a.entry = e.id AND {attempt} AND i.id = a.import_id
  AND fo.id = e.folder_id AND f.id = e.firm_id AND f.held_by IS NULL AND fo.held_by IS NULL
  AND (f.paused_until IS NULL OR f.paused_until <= now())
RETURNING e.id AS entry, a.import_id, e.firm_id, e.folder_id, fo.code AS folder, a.lines,
    (SELECT count(*) FROM questions q WHERE q.entry = e.id AND q.import_id = i.id) AS asked,
    extract(epoch FROM now() - i.sent_at)::float AS open_seconds,
    extract(epoch FROM now() - a.absent_at)::float AS absent_seconds,
    CASE WHEN i.status = 4 THEN extract(epoch FROM now() - i.ended_at)::float END
        AS failed_seconds,
    i.message,
    (SELECT verdict FROM questions q WHERE q.entry = e.id AND q.import_id = i.id
     ORDER BY q.id DESC LIMIT 1) AS before,
    f.api_key, f.api_secret, f.subscription_key
"""
_TAKE_UNCERTAIN = text(_TAKE.format(due="due_at", state="uncertain", attempt="a.closed_at IS NULL"))
_TAKE_SYNCED = text(
    _TAKE.format(
        due="read_again_at",
        state="synced",
        attempt="a.id = (SELECT max(id) FROM attempts WHERE entry = e.id)",
    )
)


def take_question(connection: Connection, entry: int, seconds: float) -> Question | None:
    """Take a question for so many seconds; None where it is not due, or not open any more."""
    return _taken(connection, _TAKE_UNCERTAIN, entry, seconds)


def take_second_look(connection: Connection, entry: int, seconds: float) -> Question | None:
    """The same of an entry that is synced and was sent more than once."""
    return _taken(connection, _TAKE_SYNCED, entry, seconds)


def _taken(
    connection: Connection, statement: TextClause, entry: int, seconds: float
) -> Question | None:
    row = connection.execute(
        statement, {"entry": entry, "seconds": seconds, "apart": RUNG_APART}
    ).one_or_none()
    return None if row is None else Question(**row._asdict())


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


def looked_again(connection: Connection, entry: int) -> None:
    connection.execute(
        text("UPDATE entries SET read_again_at = NULL WHERE id = :entry"), {"entry": entry}
    )


def note(
    connection: Connection,
    question: Question,
    verdict: Verdict | None,
    rows_found: int | None,
    message: str,
) -> None:
    """What came of it; no verdict where Loop did not answer."""
    connection.execute(
        text(
            "INSERT INTO questions (firm_id, entry, import_id, rows_found, verdict, message) "
            "VALUES (:firm_id, :entry, :import_id, :rows_found, :verdict, :message)"
        ),
        {
            "firm_id": question.firm_id,
            "entry": question.entry,
            "import_id": question.import_id,
            "rows_found": rows_found,
            "verdict": verdict,
            "message": message or None,
        },
    )


_DUE = """
UPDATE entries SET due_at = now() + make_interval(secs => :seconds)
WHERE id IN (SELECT id FROM entries WHERE {which} AND state = 'uncertain' ORDER BY id FOR UPDATE)
"""
_ASK_AGAIN = text(_DUE.format(which="id = :entry"))
_ASK_OTHERS = text(
    _DUE.format(
        which="id <> :entry AND id IN (SELECT entry FROM attempts WHERE import_id = :import_id "
        "AND closed_at IS NULL)"
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
                "WHERE e.id = :entry AND e.state = 'uncertain' AND a.import_id = :import_id "
                "AND a.closed_at IS NULL)"
            ),
            {"entry": question.entry, "import_id": question.import_id},
        ).scalar_one()
    )


def close_attempt(connection: Connection, entry: int, import_id: int, closing: str) -> None:
    """Give an open attempt its definite end."""
    connection.execute(
        text(
            "UPDATE attempts SET closed_at = now(), closed_as = :closing "
            "WHERE entry = :entry AND import_id = :import_id AND closed_at IS NULL"
        ),
        {"entry": entry, "import_id": import_id, "closing": closing},
    )


# What runs in the folder may be what is waited for.
_SETTLE_MORE = text("""
UPDATE imports i SET settled_at = now(), settled_seconds = settled_seconds + CASE
    WHEN EXISTS (SELECT FROM imports o WHERE o.folder_id = i.folder_id AND o.poll_at IS NOT NULL
        AND o.sent_at > now() - interval '1 day') THEN 0
    ELSE greatest(0, least(:longest, extract(epoch FROM now() - greatest(
        settled_at, sent_at + make_interval(secs => :allowed))))) END
WHERE id = :import_id
RETURNING settled_seconds >= greatest(:needed, 2 * (
    SELECT extract(epoch FROM max(o.ended_at - o.sent_at)) FROM imports o
    WHERE o.firm_id = i.firm_id AND o.status = 3 AND o.ended_at > now() - interval '7 days'))
""")


def settle_more(
    connection: Connection, import_id: int, *, allowed: float, needed: float, longest: float
) -> bool:
    """Loop answered: count the time since it last did, `longest` at most; whether it is enough.

    Counted is from so many seconds after the mark (`allowed`). `needed` is the least; twice what an
    import of the firm took in the last seven days is needed, too.
    """
    return bool(
        connection.execute(
            _SETTLE_MORE,
            {"import_id": import_id, "allowed": allowed, "needed": needed, "longest": longest},
        ).scalar_one()
    )


def stand_still(connection: Connection, import_id: int) -> None:
    """Loop did not answer: the time until now does not count."""
    connection.execute(
        text("UPDATE imports SET settled_at = now() WHERE id = :id"), {"id": import_id}
    )


def settle_anew(connection: Connection, import_id: int) -> None:
    """Some of the request was found: the rest may be on its way."""
    connection.execute(
        text("UPDATE imports SET settled_seconds = 0, settled_at = now() WHERE id = :id"),
        {"id": import_id},
    )


def note_absence(connection: Connection, question: Question, *, absent: bool) -> None:
    """From when an entry was absent in a way that counts; or that it is not, after all."""
    connection.execute(
        text(
            "UPDATE attempts SET absent_at = CASE WHEN :absent THEN coalesce(absent_at, now()) END "
            "WHERE entry = :entry AND import_id = :import_id AND closed_at IS NULL"
        ),
        {"entry": question.entry, "import_id": question.import_id, "absent": absent},
    )


@dataclass(frozen=True, slots=True)
class Control:
    """An entry that Loop has for sure: its folder and its lines as they were sent."""

    folder_id: int
    folder: str
    lines: list[dict[str, Any]]


# One of each of the latest imports.
_CONTROL = """
SELECT fo.id AS folder_id, fo.code AS folder, a.lines
FROM imports i JOIN folders fo ON fo.id = i.folder_id
CROSS JOIN LATERAL (
    SELECT lines FROM attempts WHERE import_id = i.id
    AND lines->0->>'ecritureOrigine' IS NOT NULL ORDER BY id LIMIT 1) a
WHERE i.firm_id = :firm_id AND i.status = 3 AND {where}
ORDER BY i.ended_at DESC LIMIT :most
"""
_CONTROLS = [text(_CONTROL.format(where=where)) for where in ("i.folder_id = :folder_id", "true")]


def controls_for(connection: Connection, question: Question, most: int) -> list[Control]:
    """Of the same folder, else of others of the firm: one that is found shows that Loop can be
    asked.
    """
    values = {"firm_id": question.firm_id, "folder_id": question.folder_id, "most": most}
    for statement in _CONTROLS:
        rows = connection.execute(statement, values).all()
        if rows:
            return [Control(**row._asdict()) for row in rows]
    return []


def alone_and_absent(connection: Connection, entry: int) -> int:
    """How often it was sent alone, was not heard of, and was proven absent (rule 8)."""
    count: int = connection.execute(
        text(
            "SELECT count(*) FROM attempts a WHERE a.entry = :entry "
            "AND a.closed_as = 'proven_absent' AND NOT EXISTS ("
            "  SELECT FROM attempts b WHERE b.import_id = a.import_id AND b.id <> a.id)"
        ),
        {"entry": entry},
    ).scalar_one()
    return count


def half_of(connection: Connection, question: Question) -> uuid.UUID | None:
    """A name for the half of its import request that the entry is in; None where it was alone."""
    entries = list(
        connection.execute(
            text("SELECT entry FROM attempts WHERE import_id = :id ORDER BY entry"),
            {"id": question.import_id},
        ).scalars()
    )
    if len(entries) == 1:
        return None
    second = 2 * entries.index(question.entry) >= len(entries)
    return uuid.uuid5(uuid.NAMESPACE_OID, f"passerelle/import/{question.import_id}/{second}")


def undecided_in(connection: Connection, case_id: int) -> bool:
    """Whether a case holds an entry whose end is not known."""
    return bool(
        connection.execute(
            text(
                "SELECT EXISTS (SELECT FROM entries e JOIN attempts a ON a.entry = e.id "
                "WHERE e.case_id = :case_id AND a.closed_at IS NULL)"
            ),
            {"case_id": case_id},
        ).scalar_one()
    )
