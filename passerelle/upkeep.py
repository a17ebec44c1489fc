"""Finding lost work: what is due, or whose lease ran out, rings again (engine rules 3 and 22)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Engine

from passerelle.domain.backoff import ASK_FIRST
from passerelle.domain.limits import Limits
from passerelle.domain.states import State
from passerelle.meter import Meter
from passerelle.observe import log
from passerelle.store import outages, sweep
from passerelle.store.crashes import crashed
from passerelle.store.identity import went_back
from passerelle.store.outbox import remind
from passerelle.store.planner import analyze_grown
from passerelle.store.transitions import Change, move, open_attempts
from passerelle.supposing import Supposing

MOST = 1000
"""Imports looked at in one sweep; the next comes a second later."""

POLLS_A_MESSAGE = 20

_MOST_CASES = 50

_MOST_ENDPOINTS = 50


@dataclass(frozen=True, slots=True)
class Bells:
    """Whom to ring for: folders to deliver; imports and entries to ask about, in groups.

    `probe`: whether Loop, which is down, is to be asked if it is back. `refreshes`: folders whose
    reference data are to be read. `cases`: whether they are over, and which are. `endpoints`:
    whom there is something to tell.
    """

    folders: tuple[int, ...] = ()
    imports: tuple[tuple[int, ...], ...] = ()
    entries: tuple[tuple[int, ...], ...] = ()
    probe: bool = False
    refreshes: tuple[int, ...] = ()
    cases: sweep.Cases = field(default_factory=sweep.Cases)
    endpoints: tuple[int, ...] = ()


class Upkeep:
    def __init__(
        self,
        engine: Engine,
        limits: Limits,
        chance: Callable[[], float],
        supposing: Supposing,
        meter: Meter,
    ) -> None:
        self._engine = engine
        self._limits = limits
        self._chance = chance
        self._supposing = supposing
        self._meter = meter

    def sweep(self) -> Bells:
        """One look at everything that waits. Several at once share the work."""
        analyze_grown(self._engine)
        while self._take_back():
            pass
        self._supposing.suppose()
        with self._engine.begin() as connection:
            stopped = went_back(connection)
            folders = [] if stopped else sweep.folders_to_ring(connection, self._limits.batch_lines)
            polls = sweep.imports_to_poll(connection, MOST)
            questions = sweep.entries_to_ask(connection, MOST)
            probe = outages.take_probe(connection)
            refreshes = sweep.folders_to_refresh(connection)
            cases = sweep.Cases() if stopped else sweep.cases_to_ring(connection, _MOST_CASES)
        # What was told is not known any more, either.
        endpoints = [] if stopped else self._endpoints()
        if stopped:
            log.error("the database went back: nothing is sent before `passerelle db restored`")
        return Bells(
            folders=tuple(folders),
            imports=_groups(polls),
            entries=_groups(questions),
            probe=probe,
            refreshes=tuple(refreshes),
            cases=cases,
            endpoints=tuple(endpoints),
        )

    def _endpoints(self) -> list[int]:
        with self._engine.begin() as connection:
            remind(connection)
            return sweep.endpoints_to_tell(connection, _MOST_ENDPOINTS)

    def _take_back(self) -> bool:
        """Take the entries of one dead delivery from it; whether there was one."""
        with self._engine.begin() as connection:
            entries = sweep.abandoned_delivery(connection)
            if not entries:
                return False
            marked = open_attempts(connection, entries)
            if marked:
                change = Change(State.UNCERTAIN, message=sweep.LEASE_RAN_OUT, due_in=ASK_FIRST)
                move(connection, sorted(marked), {State.POSTING}, change)
            else:
                crashed(connection, entries, self._chance())
        log.warning("a lease ran out", entries=entries, after_mark=bool(marked))
        self._meter.count("lease_ran_out", stage="after_mark" if marked else "before_mark")
        return True


def _groups(ids: Mapping[int, Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    """Of one firm or folder each, so that one that is slow holds up no other."""
    return tuple(
        tuple(of_one[start : start + POLLS_A_MESSAGE])
        for of_one in ids.values()
        for start in range(0, len(of_one), POLLS_A_MESSAGE)
    )
