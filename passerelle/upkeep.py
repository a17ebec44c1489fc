"""Finding lost work: what is due, or whose lease ran out, rings again (engine rules 3 and 22)."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Engine

from passerelle.domain.states import State
from passerelle.observe import log
from passerelle.store import abandoned
from passerelle.store.crashes import crashed
from passerelle.store.transitions import Change, move, open_attempts

MOST = 1000
"""Imports looked at in one sweep; the next comes a second later."""

POLLS_A_MESSAGE = 20

RUNG_APART = 5.0
"""Seconds before a bell is taken for lost and rung again."""


@dataclass(frozen=True, slots=True)
class Bells:
    """Whom to ring for: folders to deliver, imports to ask about in groups."""

    folders: tuple[int, ...] = ()
    imports: tuple[tuple[int, ...], ...] = ()


class Upkeep:
    def __init__(self, engine: Engine, chance: Callable[[], float]) -> None:
        self._engine = engine
        self._chance = chance

    def sweep(self) -> Bells:
        """One look at everything that waits. Several at once share the work."""
        while self._take_back():
            pass
        with self._engine.begin() as connection:
            folders = abandoned.folders_to_ring(connection, RUNG_APART)
            polls = abandoned.imports_to_poll(connection, RUNG_APART, MOST)
        groups = [
            tuple(ids[start : start + POLLS_A_MESSAGE])
            for ids in polls.values()
            for start in range(0, len(ids), POLLS_A_MESSAGE)
        ]
        return Bells(tuple(folders), tuple(groups))

    def _take_back(self) -> bool:
        """Take the entries of one dead delivery from it; whether there was one."""
        with self._engine.begin() as connection:
            entries = abandoned.abandoned_delivery(connection)
            marked = open_attempts(connection, entries)
            if marked:
                change = Change(State.UNCERTAIN, message=abandoned.LEASE_RAN_OUT)
                move(connection, sorted(marked), {State.POSTING}, change)
            elif entries:
                crashed(connection, entries, self._chance())
        if entries:
            log.warning("a lease ran out", entries=len(entries), after_mark=bool(marked))
        return bool(entries)
