"""What is due or was left behind, of all firms: for upkeep (engine rules 3 and 22)."""

from dataclasses import dataclass

from sqlalchemy import Connection, text

from passerelle.store.claims import (
    IS_FREE,
    IS_SILENT,
    IS_WORTH,
    LEAST_RECENT,
    RUNG_APART,
)
from passerelle.store.endpoints import MAY_BE_TOLD
from passerelle.store.pauses import MAY_CALL, PACE
from passerelle.store.probes import IS_DUE, IS_OVER, IS_PROBED
from passerelle.store.questions import MAY_ASK
from passerelle.store.refreshes import DUE_VALUES, IS_READABLE, IS_TO_BE_READ

LEASE_RAN_OUT = "The delivery ended without a word after it may have been sent."

_ABANDONED = text("""
SELECT id FROM entries WHERE state = 'posting' AND lease_until <= now() AND lease = (
    SELECT lease FROM entries WHERE state = 'posting' AND lease_until <= now()
    ORDER BY lease_until LIMIT 1 FOR UPDATE SKIP LOCKED)
ORDER BY id FOR UPDATE SKIP LOCKED
""")


def abandoned_delivery(connection: Connection) -> list[int]:
    """The entries of one delivery whose lease has run out, locked; none where there is none.

    Whether it had made its mark is to be asked in a statement of its own: the mark changes no
    entry, so this statement may have begun before it and not know it.
    """
    return list(connection.execute(_ABANDONED).scalars())


# What is due is looked for first, and once: looked for again for each row that may be changed, it
# would be another each time, since what was just changed is passed over.
#
# Of each firm no more than can have their turn before the next sweep; the rest would be sent away.
# What somebody else has locked is being worked on.
_RING = text(f"""
WITH due AS MATERIALIZED (
    SELECT due.id FROM firms f CROSS JOIN LATERAL (
        SELECT fo.id FROM folders fo
        WHERE fo.firm_id = f.id AND {IS_FREE} AND {IS_SILENT} AND {IS_WORTH}
        ORDER BY {LEAST_RECENT} LIMIT ceil({PACE}) FOR NO KEY UPDATE OF fo SKIP LOCKED) due
    WHERE {MAY_CALL})
UPDATE folders SET rung_at = now() WHERE id IN (SELECT id FROM due) RETURNING id
""")  # noqa: S608 literals of modules beside this one


def folders_to_ring(connection: Connection, lines: int) -> list[int]:
    """Folders that a request is worth it for, with `lines` in a whole batch, that nobody works on
    and that were not rung for just now.
    """
    return sorted(connection.execute(_RING, {"apart": RUNG_APART, "lines": lines}).scalars())


# At most half of the firm's pace until the next sweep: there are deliveries, too.
_POLLS = text(f"""
WITH due AS MATERIALIZED (
    SELECT due.id FROM firms f CROSS JOIN LATERAL (
        SELECT i.id, i.poll_at FROM imports i
        WHERE i.firm_id = f.id AND i.poll_at <= now()
          AND (i.rung_at IS NULL OR i.rung_at <= now() - make_interval(secs => :apart))
        ORDER BY i.poll_at LIMIT ceil({PACE} / 2) FOR UPDATE OF i SKIP LOCKED) due
    WHERE {MAY_CALL}
    ORDER BY due.poll_at LIMIT :most)
UPDATE imports SET rung_at = now() WHERE id IN (SELECT id FROM due) RETURNING id, firm_id
""")  # noqa: S608 idem


def imports_to_poll(connection: Connection, most: int) -> dict[int, list[int]]:
    """Imports to be asked about by now, not rung for just now, by firm."""
    by_firm: dict[int, list[int]] = {}
    for row in connection.execute(_POLLS, {"most": most, "apart": RUNG_APART}):
        by_firm.setdefault(row.firm_id, []).append(row.id)
    return by_firm


# As of polls: half of the firm's pace.
_ASK = f"""
WITH due AS MATERIALIZED (
    SELECT due.id FROM firms f CROSS JOIN LATERAL (
        SELECT e.id, e.{{due}} FROM entries e JOIN folders fo ON fo.id = e.folder_id
        WHERE e.firm_id = f.id AND {{which}} AND e.{{due}} <= now() AND {{may_ask}}
        ORDER BY e.{{due}} LIMIT ceil({PACE} / 2) FOR UPDATE OF e SKIP LOCKED) due
    ORDER BY due.{{due}} LIMIT :most)
UPDATE entries SET {{due}} = now() + make_interval(secs => :apart)
WHERE id IN (SELECT id FROM due) RETURNING id, folder_id
"""  # noqa: S608 idem
_ASKS = [
    text(_ASK.format(due="due_at", which="e.state = 'uncertain'", may_ask=MAY_ASK)),
    text(_ASK.format(due="read_again_at", which="e.read_again_at IS NOT NULL", may_ask=MAY_ASK)),
]


def entries_to_ask(connection: Connection, most: int) -> dict[int, list[int]]:
    """Entries that Loop is to be asked about by now, by folder: uncertain, or to be read again."""
    by_folder: dict[int, list[int]] = {}
    for ring in _ASKS:
        for row in connection.execute(ring, {"apart": RUNG_APART, "most": most}):
            by_folder.setdefault(row.folder_id, []).append(row.id)
    return by_folder


@dataclass(frozen=True, slots=True)
class Cases:
    """Cases that Loop is to be asked about, and those that are over."""

    to_probe: tuple[int, ...] = ()
    over: tuple[int, ...] = ()


_IS_QUIET = "(c.rung_at IS NULL OR c.rung_at <= now() - make_interval(secs => :apart))"
_OVER = text(f"""
WITH due AS MATERIALIZED (
    SELECT c.id FROM cases c WHERE c.state = 'open' AND {_IS_QUIET} AND {IS_OVER}
    ORDER BY c.id LIMIT :most FOR UPDATE OF c SKIP LOCKED)
UPDATE cases SET rung_at = now() WHERE id IN (SELECT id FROM due) RETURNING id
""")  # noqa: S608 idem
# Of each firm no more than a part of its pace: there are entries, too.
_PROBES = text(f"""
WITH due AS MATERIALIZED (
    SELECT due.id FROM firms f CROSS JOIN LATERAL (
        SELECT c.id, c.probe_at FROM cases c
        WHERE c.firm_id = f.id AND {IS_PROBED} AND {_IS_QUIET} AND {IS_DUE}
        ORDER BY c.probe_at NULLS FIRST, c.id LIMIT ceil({PACE} / 4)
        FOR UPDATE OF c SKIP LOCKED) due
    ORDER BY due.probe_at NULLS FIRST LIMIT :most)
UPDATE cases SET rung_at = now() WHERE id IN (SELECT id FROM due) RETURNING id
""")  # noqa: S608 idem


def cases_to_ring(connection: Connection, most: int) -> Cases:
    """Cases to do something about, and not rung for just now."""
    values = {"apart": RUNG_APART, "most": most}
    over = connection.execute(_OVER, values).scalars()
    return Cases(over=tuple(over), to_probe=tuple(connection.execute(_PROBES, values).scalars()))


_REFRESH_APART = 60.0
"""Seconds before a bell is taken for lost; one waits behind other folders' refreshes."""

# One of a firm at a time: the others would only wait for the firm's turns.
_REFRESH = text(f"""
WITH due AS MATERIALIZED (
    SELECT due.id FROM firms f CROSS JOIN LATERAL (
        SELECT fo.id FROM folders fo WHERE fo.firm_id = f.id AND {IS_READABLE} AND {IS_TO_BE_READ}
        ORDER BY fo.refresh_at NULLS FIRST, fo.id LIMIT 1 FOR NO KEY UPDATE OF fo SKIP LOCKED) due
    WHERE {MAY_CALL} AND NOT EXISTS (
        SELECT FROM folders busy WHERE busy.firm_id = f.id AND (busy.refresh_lease_until > now()
            OR busy.refresh_rung_at > now() - make_interval(secs => :apart))))
UPDATE folders SET refresh_rung_at = now() WHERE id IN (SELECT id FROM due) RETURNING id
""")  # noqa: S608 idem


def folders_to_refresh(connection: Connection) -> list[int]:
    """A folder of each firm of which none is being refreshed or was just rung for."""
    return sorted(connection.execute(_REFRESH, {"apart": _REFRESH_APART, **DUE_VALUES}).scalars())


# Of each no more than one message is under way: what it sends next, it sends by itself.
_TELL = text(f"""
WITH due AS MATERIALIZED (
    SELECT ep.id FROM endpoints ep
    WHERE {MAY_BE_TOLD}
      AND (ep.rung_at IS NULL OR ep.rung_at <= now() - make_interval(secs => :apart))
    ORDER BY ep.rung_at NULLS FIRST, ep.id LIMIT :most FOR NO KEY UPDATE OF ep SKIP LOCKED)
UPDATE endpoints SET rung_at = now() WHERE id IN (SELECT id FROM due) RETURNING id
""")  # noqa: S608 idem


def endpoints_to_tell(connection: Connection, most: int) -> list[int]:
    """Endpoints that something waits for, and not rung for just now."""
    values = {"apart": RUNG_APART, "most": most}
    return sorted(connection.execute(_TELL, values).scalars())
