"""Erasing the contents of what is settled, of all firms. What remains says which entry it was, that
it was sent, and what became of it: the same event is still known, and its twins are told apart.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from passerelle.domain.states import FINAL
from passerelle.store.claims import HAS_NO_ATTEMPT
from passerelle.store.columns import listed

_FINAL = listed(sorted(FINAL))

# What is settled was due last when it came to that. Behind `after`, since what was just erased
# stays in the index for as long as somebody reads an older state of the database, such as a dump.
# What is to be read again is left to whoever reads it, who holds its import meanwhile.
_OLD = text(f"""
SELECT id, due_at FROM entries
WHERE state IN {_FINAL} AND erased_at IS NULL AND read_again_at IS NULL
  AND due_at <= now() - make_interval(days => :days) AND due_at >= CAST(:after AS timestamptz)
ORDER BY due_at LIMIT :most FOR NO KEY UPDATE SKIP LOCKED
""")  # noqa: S608 words of the domain

# Of `entries e`: Loop, the hub or a person may have to do with what it holds yet. Where nobody is
# told, nobody waits to be.
_IS_NEEDED = f"""
(e.doubted OR NOT {HAS_NO_ATTEMPT}
 OR EXISTS (
    SELECT FROM attempts a JOIN imports i ON i.id = a.import_id
    WHERE a.entry = e.id AND i.poll_at IS NOT NULL)
 OR EXISTS (
    SELECT FROM entries other WHERE other.firm_id = e.firm_id AND other.folder_id = e.folder_id
      AND other.entry_id = e.entry_id AND other.state NOT IN {_FINAL})
 OR EXISTS (
    SELECT FROM cases c WHERE c.firm_id = e.firm_id AND c.folder_id = e.folder_id
      AND c.cause = 'entry ' || e.id AND c.state = 'open')
 OR EXISTS (
    SELECT FROM outcomes o LEFT JOIN messages m ON m.id = o.message_id
    JOIN endpoints ep ON ep.firm_id = o.firm_id AND ep.audience = 'outcome'
    WHERE o.entry = e.id AND ep.url IS NOT NULL
      AND CASE WHEN m.id IS NULL THEN o.id > ep.after_id ELSE m.told_at IS NULL END))
"""  # noqa: S608 idem
_NOT_NEEDED = text(f"SELECT id FROM entries e WHERE id = ANY(:ids) AND NOT {_IS_NEEDED}")  # noqa: S608 idem

# In a day it is looked at again, and not each minute.
_PUT_OFF = text("""
UPDATE entries SET due_at = now() - make_interval(days => :days - 1) WHERE id = ANY(:ids)
""")

# Of the lines remains by which origin Loop has them, if by any: what is like them is told by that.
_ERASE = [
    text("""
    UPDATE entries SET entry = '{}', cuts = '[]', message = NULL, erased_at = now()
    WHERE id = ANY(:ids)
    """),
    text("""
    UPDATE attempts SET lines = jsonb_build_array(jsonb_strip_nulls(
        jsonb_build_object('ecritureOrigine', lines -> 0 -> 'ecritureOrigine')))
    WHERE entry = ANY(:ids)
    """),
    *(
        text(f"UPDATE {table} SET message = NULL WHERE entry = ANY(:ids) AND message IS NOT NULL")  # noqa: S608 idem
        for table in ("transitions", "questions", "outcomes")
    ),
]

# What Loop said of a request goes with the last of its entries. Two who erase one half each come
# one after the other here; behind the entries, which nobody who holds an import waits for.
_SAID = text("""
SELECT id FROM imports
WHERE id IN (SELECT import_id FROM attempts WHERE entry = ANY(:ids)) AND message IS NOT NULL
ORDER BY id FOR NO KEY UPDATE
""")
_UNSAY = text("""
UPDATE imports i SET message = NULL WHERE i.id = ANY(:ids) AND NOT EXISTS (
    SELECT FROM attempts a JOIN entries e ON e.id = a.entry
    WHERE a.import_id = i.id AND e.erased_at IS NULL)
""")


@dataclass(frozen=True, slots=True)
class Page:
    """How many entries were looked at, and of how many the contents were erased; `last`: from where
    on the next are looked for.
    """

    seen: int
    erased: int
    last: dt.datetime | None


def erase(connection: Connection, days: int, after: dt.datetime | None, most: int) -> Page:
    """Erase the contents of so many entries at most that were settled so many days ago, the oldest
    first, but for those that are needed still.

    Whether they are is asked in a statement of its own, behind the lock.
    """
    values = {"days": days, "after": "-infinity" if after is None else after, "most": most}
    old = connection.execute(_OLD, values).all()
    if not old:
        return Page(0, 0, after)
    ids = [row.id for row in old]
    erased = list(connection.execute(_NOT_NEEDED, {"ids": ids}).scalars())
    connection.execute(_PUT_OFF, {"ids": sorted({*ids} - {*erased}), "days": days})
    _erase(connection, erased)
    return Page(len(ids), len(erased), old[-1].due_at)


def _erase(connection: Connection, ids: Sequence[int]) -> None:
    for statement in _ERASE:
        connection.execute(statement, {"ids": ids})
    said = connection.execute(_SAID, {"ids": ids}).scalars().all()
    connection.execute(_UNSAY, {"ids": said})


_TAKEN_IN = text("""
DELETE FROM refused_events WHERE id IN (
    SELECT id FROM refused_events WHERE taken_in_at <= now() - make_interval(days => :days)
    ORDER BY taken_in_at LIMIT :most FOR UPDATE SKIP LOCKED)
""")


def forget_taken_in(connection: Connection, days: int, most: int) -> None:
    """Forget events that were refused first and were taken in so many days ago, so many at most."""
    connection.execute(_TAKEN_IN, {"days": days, "most": most})
