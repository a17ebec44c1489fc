"""Whether an entry that was sent is in Loop, told from the lines that Loop shows (engine rule 12).

Lines are compared as multisets of account, third party, side and amount. An account counts as the
same where only zeros on the right differ, because a folder's chart may be longer than the hub's.
"""

import enum
import hashlib
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal

MOST_ROWS = 100
"""Of one answer: so many may not be all (reference: Loop API 3.6)."""

_CENT = Decimal("0.01")


class Strategy(enum.StrEnum):
    """How an entry is found again in Loop (engine rule 10)."""

    ORIGIN = "origin"
    """By the `ecritureOrigine` that its lines carry."""
    PIECE = "piece"
    """By its journal, piece and date."""


class Verdict(enum.StrEnum):
    PRESENT = "present"
    """All lines are there, once."""
    TWICE = "twice"
    """All lines are there, more than once."""
    ABSENT = "absent"
    """No line is there now. It may still come."""
    PARTIAL = "partial"
    """Some lines are there, and not all."""
    DIFFERENT = "different"
    """Lines are there that were not sent so."""
    AMBIGUOUS = "ambiguous"
    """Lines like its own are there, which may be another entry's."""
    INCOMPLETE = "incomplete"
    """Loop may not have shown all, or showed what it was not asked for: nothing is proven."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What a line moves: an account and perhaps a third party, by one amount in EUR."""

    account: str
    third_party: str
    debit: Decimal
    credit: Decimal


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry stands in the books; `date` as `2026-01-15`."""

    journal: str
    piece: str
    date: str


@dataclass(frozen=True, slots=True)
class Row:
    """A line that Loop shows; `account` as Loop writes it.

    `origin`, `place` and `lettered` are None where Loop does not tell them.
    """

    moved: Moved
    account: str
    origin: str | None
    place: Place | None
    lettered: bool | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What Loop shows for a question, in however many answers; `complete`: that is all."""

    rows: Sequence[Row]
    complete: bool


def moved(account: str, third_party: str | None, debit: object, credit: object) -> Moved:
    """Amounts may be numbers or their texts, as JSON has them."""
    return Moved(account.rstrip("0"), (third_party or "").strip(), _amount(debit), _amount(credit))


def twin_key(place: Place, sent: Sequence[Moved]) -> bytes:
    """Equal for entries that nobody can tell apart by piece (engine rule 13)."""
    lines = sorted((one.account, one.third_party, one.debit, one.credit) for one in sent)
    return hashlib.sha256(repr((place, lines)).encode()).digest()


def judge_by_origin(sent: Sequence[Moved], found: Found, origin: str) -> Verdict:
    """What an answer says that was asked for by an origin."""
    shown = Counter(row.moved for row in found.rows if _same_origin(row.origin, origin))
    wanted = Counter(sent)
    if shown == wanted:
        # All that was sent is there, whatever Loop may not have shown.
        return Verdict.PRESENT
    if not found.complete:
        return Verdict.INCOMPLETE
    if not shown:
        # Rows of other origins: the filter was ignored, so who knows what was left out.
        return Verdict.INCOMPLETE if found.rows else Verdict.ABSENT
    if shown <= wanted:
        return Verdict.PARTIAL
    times, rest = divmod(shown.total(), wanted.total())
    if not rest and shown == Counter({line: count * times for line, count in wanted.items()}):
        return Verdict.TWICE
    return Verdict.DIFFERENT


def judge_by_piece(
    sent: Sequence[Moved], found: Found, place: Place, twins: Collection[str], before: int | None
) -> Verdict:
    """What an answer says that was asked for by journal, piece and date.

    `twins`: origins of other entries of the same place and lines, whose rows are left out.
    `before`: how often such an entry was there before this one was sent; None where nobody knows.
    """
    times = count(sent, found, place, twins)
    if times is None:
        return Verdict.INCOMPLETE
    if before is not None and times == before + 1:
        return Verdict.PRESENT
    if times != (before or 0):
        return Verdict.AMBIGUOUS
    wanted, rest = Counter(sent), _shown(found, place, twins)
    for _ in range(times):
        rest -= wanted
    if _amounts(rest) == _amounts(wanted):
        return Verdict.DIFFERENT
    if rest & wanted:
        return Verdict.PARTIAL
    # Rows of other places, as above.
    ignored = any(row.place != place for row in found.rows)
    return Verdict.INCOMPLETE if ignored else Verdict.ABSENT


def count(
    sent: Sequence[Moved], found: Found, place: Place, twins: Collection[str] = ()
) -> int | None:
    """How often lines like these stand there; None where that cannot be told."""
    if not found.complete or any(row.place is None for row in found.rows):
        return None
    shown = _shown(found, place, twins)
    return min(shown[line] // number for line, number in Counter(sent).items())


def _shown(found: Found, place: Place, twins: Collection[str]) -> Counter[Moved]:
    return Counter(
        row.moved
        for row in found.rows
        if row.place == place and not any(_same_origin(row.origin, twin) for twin in twins)
    )


def _amounts(lines: Counter[Moved]) -> Counter[tuple[Decimal, Decimal]]:
    return Counter((line.debit, line.credit) for line in lines.elements())


def _same_origin(shown: str | None, origin: str) -> bool:
    return shown is not None and shown.strip("{}").casefold() == origin.casefold()


def _amount(value: object) -> Decimal:
    return Decimal(str(value or 0)).quantize(_CENT)
