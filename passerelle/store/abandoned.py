"""What is due or was left behind: for upkeep (engine rules 3 and 22)."""

import uuid
from dataclasses import dataclass

from sqlalchemy import Connection, text

_EXPIRED = text("""
SELECT e.id, e.lease,
       EXISTS (SELECT 1 FROM attempts a WHERE a.entry = e.id AND a.closed_at IS NULL) AS marked
FROM entries e WHERE e.state = 'posting' AND e.lease_until <= now()
ORDER BY e.id LIMIT :most FOR UPDATE OF e SKIP LOCKED
""")

LEASE_RAN_OUT = "The delivery ended without a word after it may have been sent."


@dataclass(frozen=True, slots=True)
class Abandoned:
    """Entries whose delivery died: after the mark, and before it by delivery."""

    marked: list[int]
    unmarked: list[list[int]]


def expired_leases(connection: Connection, most: int) -> Abandoned:
    """Entries whose lease has run out, locked."""
    marked: list[int] = []
    unmarked: dict[uuid.UUID, list[int]] = {}
    for row in connection.execute(_EXPIRED, {"most": most}):
        if row.marked:
            marked.append(row.id)
        else:
            unmarked.setdefault(row.lease, []).append(row.id)
    return Abandoned(marked, list(unmarked.values()))


_RING = text("""
UPDATE folders fo SET rung_at = now() FROM firms f
WHERE f.id = fo.firm_id AND f.registered_at IS NOT NULL AND f.held_by IS NULL
  AND fo.held_by IS NULL AND (f.paused_until IS NULL OR f.paused_until <= now())
  AND (fo.lease_until IS NULL OR fo.lease_until <= now())
  AND (fo.rung_at IS NULL OR fo.rung_at <= now() - make_interval(secs => :apart))
  AND EXISTS (SELECT 1 FROM entries e WHERE e.folder_id = fo.id
    AND e.state IN ('received', 'waiting') AND e.due_at <= now())
RETURNING fo.id
""")


def folders_to_ring(connection: Connection, apart: float) -> list[int]:
    """Folders with due entries that nobody works on and that were not rung for just now."""
    return sorted(connection.execute(_RING, {"apart": apart}).scalars())


_POLLS = text("""
UPDATE imports i SET rung_at = now() FROM firms f
WHERE f.id = i.firm_id AND f.held_by IS NULL
  AND (f.paused_until IS NULL OR f.paused_until <= now()) AND i.id IN (
    SELECT id FROM imports WHERE poll_at <= now()
      AND (rung_at IS NULL OR rung_at <= now() - make_interval(secs => :apart))
    ORDER BY poll_at LIMIT :most FOR UPDATE SKIP LOCKED)
RETURNING i.id, i.firm_id
""")


def imports_to_poll(connection: Connection, apart: float, most: int) -> dict[int, list[int]]:
    """Imports to be asked about by now, not rung for just now, by firm."""
    by_firm: dict[int, list[int]] = {}
    for row in connection.execute(_POLLS, {"most": most, "apart": apart}):
        by_firm.setdefault(row.firm_id, []).append(row.id)
    return by_firm
