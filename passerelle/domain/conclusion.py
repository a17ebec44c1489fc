"""What is concluded from a read about an uncertain entry: engine rules 11 and 12.

Presence is believed at once. Absence is believed when Loop has had its time, when the same kind of
question finds another entry that is known to be there, and when it was seen twice.
"""

import enum

from passerelle.domain.backoff import A_DAY
from passerelle.domain.verdict import Verdict


class Conclusion(enum.Enum):
    IN_LOOP = enum.auto()
    IN_LOOP_TWICE = enum.auto()
    LANDED_DIFFERENTLY = enum.auto()
    UNDECIDED = enum.auto()
    """Nobody can tell; a person looks."""
    REFUSED = enum.auto()
    """Its import has failed, and it is not there: Loop would not have it."""
    ABSENT_ONCE = enum.auto()
    """Believed if it is seen again."""
    ABSENT = enum.auto()
    """It is not there and will not come: it may be sent again."""
    OPEN = enum.auto()
    """Asked again later."""


_AT_ONCE = {
    Verdict.PRESENT: Conclusion.IN_LOOP,
    Verdict.TWICE: Conclusion.IN_LOOP_TWICE,
}
# What is booked line by line may have been seen half-way; twice is no chance.
_SEEN_TWICE = {
    Verdict.PARTIAL: Conclusion.UNDECIDED,
    Verdict.DIFFERENT: Conclusion.LANDED_DIFFERENTLY,
    Verdict.AMBIGUOUS: Conclusion.UNDECIDED,
}


def conclude(
    verdict: Verdict,
    before: Verdict | None,
    *,
    settled: bool,
    control: bool,
    absent_seconds: float | None,
    open_seconds: float,
    failed_seconds: float | None,
    read_gap_seconds: float,
) -> Conclusion:
    """`before` is the last verdict; `control`: in this pass another entry was found the same way;
    `absent_seconds` since the first absence of this kind; `open_seconds` since it was sent;
    `failed_seconds` since Loop said that its import had failed.
    """
    if verdict in _AT_ONCE:
        return _AT_ONCE[verdict]
    if verdict is before and verdict in _SEEN_TWICE:
        return _SEEN_TWICE[verdict]
    if verdict is Verdict.ABSENT:
        if failed_seconds is not None and control:
            # Nothing comes of it any more, so one look is enough (rule 16).
            return Conclusion.REFUSED if failed_seconds >= read_gap_seconds else Conclusion.OPEN
        if failed_seconds is None and not settled:
            # Waited for as long as it takes: Loop may be down for days.
            return Conclusion.OPEN
        if control:
            return _absence(absent_seconds, read_gap_seconds)
    return Conclusion.UNDECIDED if open_seconds > A_DAY else Conclusion.OPEN


def _absence(seconds: float | None, read_gap_seconds: float) -> Conclusion:
    if seconds is None:
        return Conclusion.ABSENT_ONCE
    return Conclusion.ABSENT if seconds >= read_gap_seconds else Conclusion.OPEN
