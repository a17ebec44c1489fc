"""What becomes of a file's entries, told before anything is sent."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from passerelle.domain.limits import Lengths
from passerelle.domain.text import cut, normalise
from passerelle.fec.assembly import Assembly
from passerelle.fec.entries import Choices, Entry, entry_event, foreign_currency, in_currency
from passerelle.fec.lines import Line
from passerelle.fec.reader import FecFile
from passerelle.fec.report import (
    Collision,
    FileCut,
    Finding,
    JournalTotals,
    Reason,
    shortened,
)
from passerelle.fec.scratch import Kept
from passerelle.fec.values import quoted

# Auxiliary codes that are known to have been met.
_MOST_MET = 16_384


@dataclass(slots=True)
class Report:
    """Each line of the file is either counted in its journal's `lines` or named by exactly one
    finding of `left_out`.

    `notes` tell what an entry that comes out does not carry, or carries otherwise than the file
    wrote it; `opening` names the entries that open the year, `cuts` what is too long for Loop.
    `without_piece_ref` counts the entries that got their number for one, `without_valid_date` those
    that got their date.
    """

    journals: dict[str, JournalTotals]
    left_out: Kept[Finding]
    notes: Kept[Finding]
    opening: Kept[Finding]
    cuts: Kept[FileCut]
    collisions: list[Collision]
    without_piece_ref: int = 0
    without_valid_date: int = 0

    @property
    def entries(self) -> int:
        return sum(totals.entries for totals in self.journals.values())


def examine(
    file: FecFile, lengths: Lengths, choices: Choices, advance: Callable[[int], object]
) -> Report:
    """The report on a file; `advance` is told of the lines gone through."""
    keep = file.scratch.kept
    report = Report(
        {},
        keep("left_out", _finding),
        keep("notes", _finding),
        keep("opening", _finding),
        keep("cuts", FileCut._make),
        [],
    )
    examination = _Examination(file, lengths, choices, report)
    for entry in Assembly(file, report.left_out.append).entries():
        examination.take(entry)
        advance(len(entry.lines))
    report.collisions.extend(file.scratch.collisions())
    return report


def events(file: FecFile, firm: str, folder: str, choices: Choices) -> Iterator[dict[str, Any]]:
    """The file's entries as events, ready for `entries.submit`."""
    for entry in Assembly(file, lambda _: None).entries():
        if choices.with_opening or not entry.opens_year(file.first_date):
            yield entry_event(entry, firm, folder, choices)


def _finding(item: list[Any]) -> Finding:
    lines, message, entry_id, reason = item
    return Finding(tuple(lines), message, entry_id, reason and Reason(reason))


class _Examination:
    def __init__(self, file: FecFile, lengths: Lengths, choices: Choices, report: Report) -> None:
        self._file = file
        self._lengths = lengths
        self._choices = choices
        self._report = report
        # Codes that need not be looked at again.
        self._auxiliaries: set[str] = set()

    def take(self, entry: Entry) -> None:
        report, choices = self._report, self._choices
        if entry.opens_year(self._file.first_date):
            numbers, message = entry.line_numbers, f"journal {entry.journal}"
            report.opening.append(Finding(numbers, message, entry.id))
            if not choices.with_opening:
                message = "opens the year, left out as asked"
                report.left_out.append(Finding(numbers, message, entry.id, Reason.OPENING))
                return
        totals = report.journals.get(entry.journal)
        if totals is None:
            sent_as = choices.journals.get(entry.journal, entry.journal)
            totals = report.journals[entry.journal] = JournalTotals(entry.journal_label, sent_as)
        totals.entries += 1
        totals.lines += len(entry.lines)
        totals.debit += entry.total
        totals.credit += entry.total
        kind = entry.kind(choices)
        totals.kinds[kind] = totals.kinds.get(kind, 0) + 1
        report.without_piece_ref += not entry.piece_refs
        report.without_valid_date += entry.validated is None
        if not _is_plain(entry):
            for numbers, message in _not_carried(entry):
                report.notes.append(Finding(numbers, message, entry.id))
        self._take_cuts(entry)

    def _take_cuts(self, entry: Entry) -> None:
        lengths, cuts, piece = self._lengths, self._report.cuts, entry.piece_ref
        if not piece.isascii() or len(piece) > lengths.reference:
            whole, short = _within(piece, lengths.reference)
            if short != whole:
                cuts.append(FileCut(entry.lines[0].number, "piece_ref", whole, short))
        for line in entry.lines:
            description = line.description or piece
            if not description.isascii() or len(description) > lengths.description:
                whole, short = _within(description, lengths.description)
                if short != whole:
                    cuts.append(FileCut(line.number, "description", whole, short))
            if line.auxiliary and line.auxiliary not in self._auxiliaries:
                if len(self._auxiliaries) == _MOST_MET:
                    self._auxiliaries.clear()
                self._auxiliaries.add(line.auxiliary)
                whole, short = _within(line.auxiliary, lengths.auxiliary_code)
                is_new = self._file.scratch.add_auxiliary(whole, short, line.number)
                if is_new and short != whole:
                    cuts.append(FileCut(line.number, "auxiliary.code", whole, short))


@lru_cache(maxsize=4096)
def _within(text: str, limit: int) -> tuple[str, str]:
    """The text as it is measured, and as Loop gets it."""
    whole = normalise(text)
    return whole, cut(whole, limit)


def _is_odd(line: Line) -> bool:
    return bool(
        line.turned
        or line.currency
        or line.currency_amount
        or (line.auxiliary_label and not line.auxiliary)
        or (line.lettering_date and not line.lettering)
    )


def _is_plain(entry: Entry) -> bool:
    """Whether the event says all that the lines say."""
    return (
        len(entry.piece_refs) <= 1
        and len(entry.journal_labels) <= 1
        and len(entry.piece_dates) <= 1
        and not any(map(_is_odd, entry.lines))
    )


def _not_carried(entry: Entry) -> Iterator[tuple[tuple[int, ...], str]]:
    """What the event does not say, or says otherwise than the file: line numbers and a sentence."""
    for column, values in (
        ("JournalLib", entry.journal_labels),
        ("PieceRef", entry.piece_refs),
        ("PieceDate", entry.piece_dates),
    ):
        if len(values) > 1:
            others = shortened([quoted(value) for value in values[1:]], ", ")
            message = f"several {column}: {quoted(values[0])} is taken, not {others}"
            yield entry.line_numbers, message
    currency = foreign_currency(entry)
    losses: dict[str, list[int]] = {}
    for line in entry.lines:
        for message in _losses(line, currency):
            losses.setdefault(message, []).append(line.number)
    for message, numbers in losses.items():
        yield tuple(numbers), message


def _losses(line: Line, currency: str | None) -> Iterator[str]:
    if line.turned:
        yield "an amount below zero is taken to the other side"
    if line.auxiliary_label and not line.auxiliary:
        yield "CompAuxLib without CompAuxNum is not carried"
    if line.lettering_date and not line.lettering:
        yield "DateLet without EcritureLet is not carried"
    if _is_foreign(line) and in_currency(line, currency) is None:
        yield "Montantdevise and Idevise are not carried"


def _is_foreign(line: Line) -> bool:
    return line.currency.upper() not in {"", "EUR"} or (
        line.currency == "" and line.currency_amount.strip("+-0,.") != ""
    )
