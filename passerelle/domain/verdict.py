"""Whether an entry that was sent is in Loop, told from the lines that Loop shows (engine rule 12).

Lines are compared as multisets of account, third party, side and amount. An account counts as the
same where only zeros on the right differ, because a folder's chart may be longer than the hub's.
"""

import enum
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

MOST_ROWS = 100
"""Of one answer: so many may not be all (reference: Loop API 3.6)."""

_CENT = Decimal("0.01")


class Verdict(enum.StrEnum):
    PRESENT = "present"
    """All lines are there, once."""
    TWICE = "twice"
    """All lines are there, more than once."""
    ABSENT = "absent"
    """No line is there now. It may still come."""
    PARTIAL = "partial"
    """Some lines are there, and no others."""
    DIFFERENT = "different"
    """Lines are there that were not sent so."""
    INCOMPLETE = "incomplete"
    """Loop may not have shown all: nothing can be concluded."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What a line moves: an account and perhaps a third party, by one amount in EUR."""

    account: str
    third_party: str
    debit: Decimal
    credit: Decimal


@dataclass(frozen=True, slots=True)
class Row:
    """A line that Loop shows. `origin` is None where it tells none."""

    moved: Moved
    origin: str | None


def moved(account: str, third_party: str | None, debit: object, credit: object) -> Moved:
    """Amounts may be numbers or their texts, as JSON has them."""
    return Moved(account.rstrip("0"), (third_party or "").strip(), _amount(debit), _amount(credit))


def holds(rows: Sequence[Row], sent: Sequence[Moved]) -> bool:
    """Whether all lines are among these, whatever their origin, and whatever else is there."""
    return Counter(row.moved for row in rows) >= Counter(sent)


def judge(sent: Sequence[Moved], rows: Sequence[Row], origin: str) -> Verdict:
    """What rows say that were asked for by an origin. Rows of another origin were not asked for."""
    found = Counter(row.moved for row in rows if _is_of(row, origin))
    wanted = Counter(sent)
    if found == wanted:
        # All that was sent is there, whatever Loop may not have shown.
        return Verdict.PRESENT
    if len(rows) >= MOST_ROWS:
        return Verdict.INCOMPLETE
    if not found:
        return Verdict.ABSENT
    if found <= wanted:
        return Verdict.PARTIAL
    times, rest = divmod(found.total(), wanted.total())
    if not rest and found == Counter({line: count * times for line, count in wanted.items()}):
        return Verdict.TWICE
    return Verdict.DIFFERENT


def _is_of(row: Row, origin: str) -> bool:
    return row.origin is not None and row.origin.strip("{}").casefold() == origin.casefold()


def _amount(value: object) -> Decimal:
    return Decimal(str(value or 0)).quantize(_CENT)
