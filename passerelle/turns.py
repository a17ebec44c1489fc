"""Whose turn it is to call Loop: each firm at its pace, with room left for the others (rule 9)."""

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from passerelle.store import outages, pauses

BUSY = "The firm's requests have no turn free just now; try again in a minute."
"""For a person who has asked for something and was sent away."""


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """Of one firm and kind `at_once` calls have a place in a process, waiting or under way.

    Where more than `ahead` of the firm's calls are to go first, one is sent away.
    """

    at_once: int
    ahead: int


# Together less than half of a worker's threads. Reading has a place behind deliveries that have
# taken all of theirs, or nothing would ever end.
DELIVERING = Kind(at_once=8, ahead=4)
READING = Kind(at_once=4, ahead=6)
# Reference data come after all else: nobody who has work waits for more than one of their requests.
REFRESHING = Kind(at_once=1, ahead=1)

PREPARED_AT_ONCE = 2
"""Requests that a process makes ready at once. Each takes some megabytes until it is sent, and more
of them would be no faster: it is work for the processor."""


class Turns:
    """`pace`: requests a second of a firm, at first and at most.

    `stop` is set when this process is to end: nobody has a turn in it from then on.
    """

    def __init__(self, engine: Engine, pace: tuple[float, float], stop: threading.Event) -> None:
        self._engine = engine
        self._pace = pace
        self._stop = stop
        self._lock = threading.Lock()
        self._calls: Counter[tuple[int, Kind]] = Counter()
        self._preparing = threading.BoundedSemaphore(PREPARED_AT_ONCE)

    @contextlib.contextmanager
    def turn(self, firm_id: int, kind: Kind) -> Iterator[bool]:
        """For one call, made within; False where it is sent away: somebody else has to come."""
        with self._place(firm_id, kind) as free:
            wait = self._wait(firm_id, kind) if free and not self.are_over() else None
            yield wait is not None and not self._stop.wait(wait)

    @contextlib.contextmanager
    def preparing(self) -> Iterator[None]:
        """Make a request ready; waits for a place, whichever firm it is for."""
        with self._preparing:
            yield

    @contextlib.contextmanager
    def stepping_aside(self) -> Iterator[None]:
        """While Loop is asked within `preparing`: a slow firm holds up no other."""
        self._preparing.release()
        try:
            yield
        finally:
            self._preparing.acquire()

    def are_over(self) -> bool:
        """Whether this process is to end."""
        return self._stop.is_set()

    def rest(self, seconds: float) -> bool:
        """Wait before asking for a turn again; whether this process is to end."""
        return self._stop.wait(seconds)

    @contextlib.contextmanager
    def _place(self, firm_id: int, kind: Kind) -> Iterator[bool]:
        with self._lock:
            free = self._calls[firm_id, kind] < kind.at_once
            self._calls[firm_id, kind] += free
        try:
            yield free
        finally:
            with self._lock:
                self._calls[firm_id, kind] -= free

    def _wait(self, firm_id: int, kind: Kind) -> float | None:
        with self._engine.begin() as connection:
            return pauses.take_turn(connection, firm_id, *self._pace, kind.ahead)

    def answered(self, connection: Connection, firm_id: int) -> None:
        """Loop answered: failures are forgotten, the pace grows."""
        pauses.answered(connection, firm_id, self._pace[1])
        outages.forget_failures(connection)
