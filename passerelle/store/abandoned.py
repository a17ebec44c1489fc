"""What is due or was left behind: for upkeep (engine rules 3 and 22)."""

from sqlalchemy import Connection, text

from passerelle.store.claims import (
    HAS_CLAIMABLE,
    IS_FREE,
    IS_SILENT,
    LEAST_RECENT,
    RUNG_APART,
)
from passerelle.store.pauses import MAY_CALL, PACE

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


# Of each firm no more than can have their turn before the next sweep; the rest would be sent away.
# What somebody else has locked is being worked on.
_RING = text(f"""
UPDATE folders SET rung_at = now() WHERE id IN (
    SELECT due.id FROM firms f CROSS JOIN LATERAL (
        SELECT fo.id FROM folders fo
        WHERE fo.firm_id = f.id AND {IS_FREE} AND {IS_SILENT}
          AND (fo.gather_until IS NULL OR fo.gather_until <= now())
          AND {HAS_CLAIMABLE}
        ORDER BY {LEAST_RECENT} LIMIT ceil({PACE}) FOR NO KEY UPDATE OF fo SKIP LOCKED) due
    WHERE {MAY_CALL})
RETURNING id
""")  # noqa: S608 literals of modules beside this one


def folders_to_ring(connection: Connection) -> list[int]:
    """Folders with due entries that nobody works on and that were not rung for just now."""
    return sorted(connection.execute(_RING, {"apart": RUNG_APART}).scalars())


# At most half of the firm's pace until the next sweep: there are deliveries, too.
_POLLS = text(f"""
UPDATE imports SET rung_at = now() WHERE id IN (
    SELECT due.id FROM firms f CROSS JOIN LATERAL (
        SELECT i.id, i.poll_at FROM imports i
        WHERE i.firm_id = f.id AND i.poll_at <= now()
          AND (i.rung_at IS NULL OR i.rung_at <= now() - make_interval(secs => :apart))
        ORDER BY i.poll_at LIMIT ceil({PACE} / 2) FOR UPDATE OF i SKIP LOCKED) due
    WHERE {MAY_CALL}
    ORDER BY due.poll_at LIMIT :most)
RETURNING id, firm_id
""")  # noqa: S608 idem


def imports_to_poll(connection: Connection, most: int) -> dict[int, list[int]]:
    """Imports to be asked about by now, not rung for just now, by firm."""
    by_firm: dict[int, list[int]] = {}
    for row in connection.execute(_POLLS, {"most": most, "apart": RUNG_APART}):
        by_firm.setdefault(row.firm_id, []).append(row.id)
    return by_firm
