"""Reading FEC files in a test, and files of literal lines."""

import datetime as dt
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from passerelle.domain.limits import Lengths
from passerelle.fec.entries import Choices
from passerelle.fec.examination import events, examine
from passerelle.fec.layout import COLUMNS, Layout
from passerelle.fec.reader import open_fec
from passerelle.fec.report import Collision, FileCut, Finding, JournalTotals
from passerelle.fec.sample import SampleEntry, SampleLine

LENGTHS = Lengths(description=35, auxiliary_code=17, reference=35)


@dataclass(frozen=True, slots=True)
class Taken:
    """What came out of a file."""

    events: list[dict[str, Any]]
    lines: int
    entries: int
    encoding: str
    line_end: str
    layout: Layout
    journals: dict[str, JournalTotals]
    left_out: list[Finding]
    notes: list[Finding]
    opening: list[Finding]
    cuts: list[FileCut]
    collisions: Sequence[Collision]
    without_piece_ref: int
    without_valid_date: int


def taken(
    content: bytes,
    firm: str = "CABINET42",
    folder: str = "DEMO000001",
    choices: Choices | None = None,
) -> Taken:
    """Raises: FecError."""
    chosen = choices or Choices()
    with open_fec(io.BytesIO(content), lambda _: None) as file:
        report = examine(file, LENGTHS, chosen, lambda _: None)
        return Taken(
            events=list(events(file, firm, folder, chosen)),
            lines=file.lines,
            entries=report.entries,
            encoding=file.encoding.name,
            line_end=file.line_end,
            layout=file.layout,
            journals=report.journals,
            left_out=list(report.left_out),
            notes=list(report.notes),
            opening=list(report.opening),
            cuts=list(report.cuts),
            collisions=report.collisions,
            without_piece_ref=report.without_piece_ref,
            without_valid_date=report.without_valid_date,
        )


def by_id(events: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {event["entry"]["id"]: event for event in events}


def assert_each_line_is_told_once(found: Taken) -> None:
    left_out = [line for finding in found.left_out for line in finding.lines]
    assert len(left_out) == len(set(left_out))
    came_out = sum(len(event["entry"]["lines"]) for event in found.events)
    assert came_out == sum(totals.lines for totals in found.journals.values())
    assert came_out + len(left_out) == found.lines


def totals_of(entries: Iterable[SampleEntry]) -> dict[str, tuple[int, int, Decimal, Decimal]]:
    """Entries, lines, debit and credit by journal code."""
    sums: dict[str, list[int]] = {}
    for entry in entries:
        journal = sums.setdefault(entry.journal, [0, 0, 0, 0])
        journal[0] += 1
        journal[1] += len(entry.lines)
        journal[2] += sum(line.debit for line in entry.lines)
        journal[3] += sum(line.credit for line in entry.lines)
    return {
        code: (entries, lines, Decimal(debit).scaleb(-2), Decimal(credit).scaleb(-2))
        for code, (entries, lines, debit, credit) in sums.items()
    }


def totals_told(found: Taken) -> dict[str, tuple[int, int, Decimal, Decimal]]:
    return {
        code: (totals.entries, totals.lines, totals.debit, totals.credit)
        for code, totals in found.journals.items()
    }


def written_back(event: dict[str, Any]) -> SampleEntry:
    """The event in the file's words: what the file said, if nothing was lost."""
    entry = event["entry"]
    document_date = entry.get("document_date")
    return SampleEntry(
        journal=entry["journal"]["code"],
        journal_label=entry["journal"].get("label", ""),
        number=entry["id"].split(":")[3],
        date=dt.date.fromisoformat(entry["date"]),
        piece_ref=entry["piece_ref"],
        piece_date=document_date and dt.date.fromisoformat(document_date),
        validated=dt.date.fromisoformat(event["occurred_at"][:10]),
        lines=tuple(
            SampleLine(
                account=line["account"],
                account_label=line.get("account_label", ""),
                description=line["description"],
                debit=int(Decimal(line["debit"]) * 100),
                credit=int(Decimal(line["credit"]) * 100),
                auxiliary=line.get("auxiliary", {}).get("code", ""),
                auxiliary_label=line.get("auxiliary", {}).get("label", ""),
                lettering=line.get("lettering", {}).get("code", ""),
            )
            for line in entry["lines"]
        ),
    )


def literal_file(*lines: str, separator: str = "|", line_end: str = "\n") -> bytes:
    """The header and these lines, each written with vertical bars."""
    text = "".join(line + line_end for line in ("|".join(COLUMNS), *lines))
    return text.replace("|", separator).encode()


def payroll_line(**columns: str) -> str:
    """A line of entry 9 in journal OD on 2025-11-30, debit 5,00, but for the columns given."""
    values = dict.fromkeys(COLUMNS, "") | {
        "JournalCode": "OD",
        "JournalLib": "Paie",
        "EcritureNum": "9",
        "EcritureDate": "20251130",
        "CompteNum": "641000",
        "CompteLib": "Salaires",
        "PieceRef": "P9",
        "Debit": "5,00",
        "Credit": "0,00",
        "ValidDate": "20260331",
    }
    return "|".join((values | columns).values())
