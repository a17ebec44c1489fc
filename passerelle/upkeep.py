"""Finding lost work: what is due, or whose lease ran out, rings again (engine rules 3 and 22)."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, text

from passerelle.domain.states import State
from passerelle.observe import log
from passerelle.store import abandoned
from passerelle.store.crashes import crashed
from passerelle.store.transitions import Change, move

MOST = 1000
"""Rows looked at in one sweep; the next comes a second later."""

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
        """One look at everything that waits; nothing where another sweep is under way."""
        with self._engine.begin() as connection:
            alone = connection.execute(
                text("SELECT pg_try_advisory_xact_lock(hashtext('passerelle.sweep'))")
            ).scalar_one()
            if not alone:
                return Bells()
            self._expire_leases(connection)
            folders = abandoned.folders_to_ring(connection, RUNG_APART)
            polls = abandoned.imports_to_poll(connection, RUNG_APART, MOST)
        groups = [
            tuple(ids[start : start + POLLS_A_MESSAGE])
            for ids in polls.values()
            for start in range(0, len(ids), POLLS_A_MESSAGE)
        ]
        return Bells(tuple(folders), tuple(groups))

    def _expire_leases(self, connection: Connection) -> None:
        found = abandoned.expired_leases(connection, MOST)
        change = Change(State.UNCERTAIN, message=abandoned.LEASE_RAN_OUT)
        move(connection, found.marked, {State.POSTING}, change)
        for entries in found.unmarked:
            crashed(connection, entries, self._chance())
        if found.marked or found.unmarked:
            log.warning(
                "leases ran out",
                after_mark=len(found.marked),
                before_mark=sum(map(len, found.unmarked)),
            )
