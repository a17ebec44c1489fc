"""What a process does, counted in memory and handed to the database every few seconds.

So figures are right however many processes and threads there are, on however many machines, and
one place tells them all. A process that is killed takes those of some seconds along.
"""

import threading
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sqlalchemy.exc import SQLAlchemyError

from passerelle.observe import log

BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 60.0)
"""Upper bounds of durations in seconds; what took longer is counted behind the last."""

_HAND_OVER_SECONDS = 5.0

Key = tuple[str, tuple[tuple[str, str], ...]]
"""A name, and labels with their values."""


@dataclass(slots=True)
class Counted:
    """How often, for how many seconds together, and how often up to each of `BOUNDS` or longer."""

    count: int = 0
    seconds: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))

    def add(self, other: "Counted") -> None:
        self.count += other.count
        self.seconds += other.seconds
        self.buckets = [mine + its for mine, its in zip(self.buckets, other.buckets, strict=True)]


class Meter:
    """`hand_over` stores what was counted; where the database is away, it is kept until later."""

    def __init__(self, hand_over: Callable[[Mapping[Key, Counted]], None]) -> None:
        self._hand_over = hand_over
        self._lock = threading.Lock()
        self._counted: dict[Key, Counted] = {}
        self._timer: threading.Timer | None = None

    def count(self, name: str, seconds: float = 0.0, times: int = 1, **labels: str) -> None:
        """So many more of it, which took so long each. Labels are words of a small vocabulary."""
        one = Counted(times, seconds * times)
        one.buckets[bisect_left(BOUNDS, seconds)] = times
        with self._lock:
            self._add({(name, tuple(sorted(labels.items()))): one})

    def _add(self, counted: Mapping[Key, Counted]) -> None:
        for key, one in counted.items():
            self._counted.setdefault(key, Counted()).add(one)
        if self._timer is None:
            self._timer = self._begin()

    def _begin(self) -> threading.Timer | None:
        """Have what is counted from now on handed over in a while."""
        timer = threading.Timer(_HAND_OVER_SECONDS, self.flush)
        # What was not handed over does not hold up the end of a process.
        timer.daemon = True
        timer.start()
        return timer

    def flush(self) -> None:
        """Hand over what was counted."""
        with self._lock:
            counted, self._counted, self._timer = self._counted, {}, None
        try:
            if counted:
                self._hand_over(counted)
        except SQLAlchemyError as error:
            log.warning("figures could not be stored yet", error=type(error).__name__)
            with self._lock:
                self._add(counted)
