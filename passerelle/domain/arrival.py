"""What an event that arrives means beside what is known: contract section 1, engine rule 20."""

import enum
from collections.abc import Collection
from dataclasses import dataclass

from passerelle.domain.event import Fault
from passerelle.domain.states import State


@dataclass(frozen=True, slots=True)
class Known:
    """A revision of the same entry that was taken in before.

    `doubted`: it may have been sent before the database went back.
    """

    id: int
    revision: int
    state: State
    fingerprint: bytes
    doubted: bool = False


class Verdict(enum.Enum):
    NOTHING = "nothing"
    """Known already; only a newer attachment link may be worth keeping."""
    REFUSED = "refused"
    NEW = "new"
    OUTDATED = "outdated"
    """Older than a revision known: stored as `superseded`."""


@dataclass(frozen=True, slots=True)
class Arrival:
    verdict: Verdict
    fault: Fault | None = None
    # The revision that says the same.
    same: Known | None = None
    # Older revisions that nothing was sent of, unless a delivery is quicker.
    replaces: tuple[int, ...] = ()
    # An older revision is in Loop: a correction by import would be a second entry.
    already_synced: bool = False


EVENT_CHANGED = Fault(
    "/event_id", "This event_id was used before for other content; use a new one."
)


_REPLACEABLE = frozenset({State.RECEIVED, State.WAITING, State.PARKED})


def compare(revision: int, fingerprint: bytes, known: Collection[Known]) -> Arrival:
    """Weigh an event that was not seen before against the entry's revisions, in any order."""
    for same in known:
        if same.revision == revision:
            if same.fingerprint == fingerprint:
                return Arrival(Verdict.NOTHING, same=same)
            return Arrival(
                Verdict.REFUSED,
                Fault(
                    "/entry/revision",
                    f"Revision {revision} of this entry was taken in before with other content; "
                    "a correction needs the next revision.",
                ),
            )
    if any(other.revision > revision for other in known):
        return Arrival(Verdict.OUTDATED)
    return Arrival(
        Verdict.NEW,
        replaces=tuple(
            other.id for other in known if other.state in _REPLACEABLE and not other.doubted
        ),
        already_synced=any(other.state is State.SYNCED for other in known),
    )
