"""Every change of an entry's state goes through here and leaves a row behind."""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from passerelle.domain.states import TOLD, TRANSITIONS, Reason, State
from passerelle.store.outbox import tell_entries


@dataclass(frozen=True, slots=True)
class Change:
    """Where entries go and what is noted with it. `due_in` is in seconds from now.

    Entries keep their `half` until they leave for Loop or for good, unless given another.
    """

    to: State
    reason: Reason | None = None
    message: str | None = None
    case_id: int | None = None
    import_id: int | None = None
    due_in: float = 0.0
    half: uuid.UUID | None = None
    lease: uuid.UUID | None = None
    lease_seconds: float | None = None
    # To `received`: the case whose end lets them go on.
    freed_by: int | None = None


# The rows are locked in order of id, so that two changes of many entries cannot wait for each
# other in a circle.
_MOVE = text("""
WITH before AS (
    SELECT id, state FROM entries
    WHERE id = ANY(:ids) AND state = ANY(:expected)
      AND (CAST(:held_lease AS uuid) IS NULL OR lease = :held_lease)
    ORDER BY id FOR UPDATE
), moved AS (
    UPDATE entries e SET
        state = :to, reason = :reason, message = :message, case_id = :case_id,
        due_at = now() + make_interval(secs => :due_in),
        half = CASE WHEN :to IN ('waiting', 'posting', 'uncertain')
            THEN coalesce(CAST(:half AS uuid), e.half) END,
        lease = CAST(:lease AS uuid),
        lease_until = now() + make_interval(secs => CAST(:lease_seconds AS float)),
        synced_at = CASE WHEN :to = 'synced' THEN now() END,
        read_again_at = NULL,
        lacking_since = CASE WHEN :to IN ('waiting', 'posting') THEN e.lacking_since END,
        freed_by = CASE WHEN :to = 'received' THEN CAST(:freed_by AS bigint) ELSE e.freed_by END,
        doubted = e.doubted AND :to NOT IN ('synced', 'superseded', 'discarded')
    FROM before WHERE e.id = before.id
    RETURNING e.id, e.firm_id, before.state AS from_state
)
INSERT INTO transitions (firm_id, entry, from_state, to_state, reason, message, import_id)
SELECT firm_id, id, from_state, :to, :reason, :message, CAST(:import_id AS bigint) FROM moved
RETURNING entry
""")


def move(
    connection: Connection,
    ids: Sequence[int],
    expected: Collection[State],
    change: Change,
    *,
    held_lease: uuid.UUID | None = None,
) -> list[int]:
    """Change the state of those of `ids` that are in an expected state; which they were.

    A way that the table of states does not know is a bug and raises.
    """
    for state in expected:
        if change.to not in TRANSITIONS[state]:
            raise ValueError(f"no way leads from {state} to {change.to}")
    if not ids:
        return []
    moved = connection.execute(
        _MOVE,
        {
            "ids": list(ids),
            "expected": list(expected),
            "held_lease": held_lease,
            "to": change.to,
            "reason": change.reason,
            "message": change.message,
            "case_id": change.case_id,
            "import_id": change.import_id,
            "due_in": change.due_in,
            "half": change.half,
            "lease": change.lease,
            "lease_seconds": change.lease_seconds,
            "freed_by": change.freed_by,
        },
    )
    done = sorted(moved.scalars())
    if change.to in TOLD:
        tell_entries(connection, done)
    return done


def open_attempts(connection: Connection, ids: Sequence[int]) -> set[int]:
    """Which of these entries have an attempt whose end is not known."""
    rows = connection.execute(
        text("SELECT entry FROM attempts WHERE entry = ANY(:ids) AND closed_as IS NULL"),
        {"ids": list(ids)},
    )
    return set(rows.scalars())


def halves(entries: Sequence[int]) -> list[tuple[Sequence[int], uuid.UUID]]:
    """Two halves of entries that failed together, each with a name of its own."""
    middle = len(entries) // 2
    return [(entries[:middle], uuid.uuid4()), (entries[middle:], uuid.uuid4())]
