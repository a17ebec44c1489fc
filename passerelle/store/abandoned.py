"""What is due or was left behind: for upkeep (engine rules 3 and 22)."""

from sqlalchemy import Connection, text

from passerelle.store.claims import HAS_CLAIMABLE

RUNG_APART = 5.0
"""Seconds before a bell is taken for lost and rung again."""

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


# What somebody else has locked is being worked on.
_RING = text(f"""
UPDATE folders SET rung_at = now() WHERE id IN (
    SELECT fo.id FROM folders fo JOIN firms f ON f.id = fo.firm_id
    WHERE f.registered_at IS NOT NULL AND f.held_by IS NULL
      AND fo.held_by IS NULL AND (f.paused_until IS NULL OR f.paused_until <= now())
      AND (fo.lease_until IS NULL OR fo.lease_until <= now())
      AND (fo.gather_until IS NULL OR fo.gather_until <= now())
      AND (fo.rung_at IS NULL OR fo.rung_at <= now() - make_interval(secs => :apart))
      AND {HAS_CLAIMABLE}
    FOR NO KEY UPDATE OF fo SKIP LOCKED)
RETURNING id
""")  # noqa: S608 a literal of a module beside this one


def folders_to_ring(connection: Connection) -> list[int]:
    """Folders with due entries that nobody works on and that were not rung for just now."""
    return sorted(connection.execute(_RING, {"apart": RUNG_APART}).scalars())


_POLLS = text("""
UPDATE imports SET rung_at = now() WHERE id IN (
    SELECT i.id FROM imports i JOIN firms f ON f.id = i.firm_id
    WHERE i.poll_at <= now() AND f.held_by IS NULL
      AND (f.paused_until IS NULL OR f.paused_until <= now())
      AND (i.rung_at IS NULL OR i.rung_at <= now() - make_interval(secs => :apart))
    ORDER BY i.poll_at LIMIT :most FOR UPDATE OF i SKIP LOCKED)
RETURNING id, firm_id
""")


def imports_to_poll(connection: Connection, most: int) -> dict[int, list[int]]:
    """Imports to be asked about by now, not rung for just now, by firm."""
    by_firm: dict[int, list[int]] = {}
    for row in connection.execute(_POLLS, {"most": most, "apart": RUNG_APART}):
        by_firm.setdefault(row.firm_id, []).append(row.id)
    return by_firm
