"""When absence may be believed: settling, controls, and what was seen before (engine rule 11)."""

from sqlalchemy import Connection, text

from passerelle.domain.verdict import Strategy
from passerelle.store.questions import Question, Sent

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
            "WHERE entry = :entry AND import_id = :import_id AND closed_as IS NULL"
        ),
        {"entry": question.entry, "import_id": question.import_id, "absent": absent},
    )


# One of each of the latest imports: an entry that is in Loop, if what Loop called done is true.
# Where nothing was sent for long, the contents of all may be erased: not all of them are looked at.
_CONTROL = """
SELECT fo.id AS folder_id, fo.code AS folder, a.lines
FROM (
    SELECT i.id, i.folder_id, i.ended_at FROM imports i
    WHERE i.firm_id = :firm_id AND i.status = 3 AND {where}
    ORDER BY i.ended_at DESC LIMIT 100) i
JOIN folders fo ON fo.id = i.folder_id
CROSS JOIN LATERAL (
    SELECT lines FROM attempts WHERE import_id = i.id AND closed_as = 'ended'
    AND lines->0 ? 'compte'
    AND (:piece OR lines->0->>'ecritureOrigine' IS NOT NULL) ORDER BY id LIMIT 1) a
ORDER BY i.ended_at DESC LIMIT :most
"""
_CONTROLS = [text(_CONTROL.format(where=where)) for where in ("i.folder_id = :folder_id", "true")]


def controls_for(
    connection: Connection, question: Question, strategy: Strategy, most: int
) -> list[Sent]:
    """Of the same folder, else of others of the firm: one that is found shows that Loop can be
    asked.
    """
    values = {
        "firm_id": question.firm_id,
        "folder_id": question.sent.folder_id,
        "piece": strategy is Strategy.PIECE,
        "most": most,
    }
    for statement in _CONTROLS:
        rows = connection.execute(statement, values).all()
        if rows:
            return [Sent(**row._asdict()) for row in rows]
    return []


def alone_and_absent(connection: Connection, entry: int) -> int:
    """How often it was sent alone, was not heard of, and was proven absent (rule 8)."""
    count: int = connection.execute(
        text(
            "SELECT count(*) FROM attempts a JOIN imports i ON i.id = a.import_id "
            "WHERE a.entry = :entry AND a.closed_as = 'proven_absent' AND NOT i.supposed "
            "AND NOT EXISTS ("
            "  SELECT FROM attempts b WHERE b.import_id = a.import_id AND b.id <> a.id)"
        ),
        {"entry": entry},
    ).scalar_one()
    return count
