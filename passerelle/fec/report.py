"""What is said about an FEC file: what was read, what was left out, and why."""

from dataclasses import dataclass, field
from decimal import Decimal

from passerelle.domain.errors import PasserelleError

# Enough to see what is wrong with a file; more would fill a screen, not help.
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """A sentence about lines of the file, counted from 1 with the header as line 1.

    `entry_id` names the entry that the lines belong to, where they belong to one.
    """

    lines: tuple[int, ...]
    message: str
    entry_id: str | None = None

    def __str__(self) -> str:
        word = "line" if len(self.lines) == 1 else "lines"
        return f"{word} {shortened([str(line) for line in self.lines], ', ')}: {self.message}"


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
    """What came out of one journal; debit and credit in EUR."""

    label: str | None
    entries: int = 0
    lines: int = 0
    debit: Decimal = Decimal(0)
    credit: Decimal = Decimal(0)


@dataclass(slots=True)
class Report:
    """Fills while the events of a file are taken, whole when the last one was.

    Each line after the header is either counted in its journal's `lines` or named by exactly one
    finding of `left_out`. `notes` tell what an entry that came out does not carry, or carries
    otherwise than the file wrote it.
    """

    lines: int = 0
    journals: dict[str, JournalTotals] = field(default_factory=dict)
    left_out: list[Finding] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)

    @property
    def entries(self) -> int:
        return sum(totals.entries for totals in self.journals.values())

    def came_out(self, journal: str, label: str | None, lines: int, total: Decimal) -> None:
        """Counts an entry; `total` is its debit and, as it balances, its credit."""
        totals = self.journals.setdefault(journal, JournalTotals(label))
        totals.entries += 1
        totals.lines += lines
        totals.debit += total
        totals.credit += total


def shortened(parts: list[str], glue: str) -> str:
    """The first few parts, and how many more there are."""
    more = len(parts) - _SHOWN
    return glue.join(parts[:_SHOWN]) + (f"{glue}and {more} more" if more > 0 else "")
