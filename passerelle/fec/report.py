"""What is said about an FEC file: what was read, what was left out, and why."""

import enum
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from passerelle.domain.errors import PasserelleError
from passerelle.domain.event import Kind

# Enough to see what is wrong with a file; more would fill a screen, not help.
_SHOWN = 5


class Reason(enum.StrEnum):
    """Why lines were left out."""

    UNREADABLE = "unreadable"
    UNBALANCED = "unbalanced"
    UNGROUPED = "ungrouped"
    """Nobody can tell which lines are an entry together."""
    UNFIT = "unfit"
    """An entry that no event can hold."""
    NO_AMOUNT = "no_amount"
    """Nothing is lost: the lines move no account."""
    OPENING = "opening"
    """As asked for."""


HARMLESS = frozenset({Reason.NO_AMOUNT, Reason.OPENING})


class Finding(NamedTuple):
    """A sentence about lines of the file, counted from 1 with the header as line 1.

    `entry_id` names the entry that the lines belong to, where they belong to one; `reason` says
    why they were left out, where they were.
    """

    lines: tuple[int, ...]
    message: str
    entry_id: str | None = None
    reason: Reason | None = None

    def __str__(self) -> str:
        word = "line" if len(self.lines) == 1 else "lines"
        return f"{word} {shortened([str(line) for line in self.lines], ', ')}: {self.message}"


class FileCut(NamedTuple):
    """What Loop will get of a text that is too long for it; `field` is the event's word."""

    line: int
    field: str
    whole: str
    cut: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.field}: {self.whole!r} as {self.cut!r}"

    def as_json(self) -> dict[str, object]:
        """Under the names that an entry's own cuts have."""
        return {"line": self.line, "field": self.field, "from": self.whole, "to": self.cut}


class Collision(NamedTuple):
    """Auxiliary codes of the file that are one and the same when cut."""

    cut: str
    codes: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.cut!r} is {shortened([repr(code) for code in self.codes], ', ')}"


class FecError(PasserelleError):
    """The file cannot be read as an FEC: nothing of it has come out.

    `findings` holds a sentence for each fault; `str()` gives the first of them.
    """

    def __init__(self, *findings: Finding) -> None:
        super().__init__(*findings)
        self.findings = findings

    def __str__(self) -> str:
        return shortened([str(finding) for finding in self.findings], "; ")


class UnfitError(Exception):
    """A value, a line or an entry cannot come out; `str()` is the reason."""


@dataclass(slots=True)
class JournalTotals:
    """What came out of one journal; debit and credit in EUR.

    `sent_as` is the code that Loop gets.
    """

    label: str | None
    sent_as: str
    entries: int = 0
    lines: int = 0
    debit: Decimal = Decimal(0)
    credit: Decimal = Decimal(0)
    kinds: dict[Kind, int] = field(default_factory=dict)


def shortened(parts: list[str], glue: str) -> str:
    """The first few parts, and how many more there are."""
    more = len(parts) - _SHOWN
    return glue.join(parts[:_SHOWN]) + (f"{glue}and {more} more" if more > 0 else "")
