"""An FEC file to events: the door that the command line uses."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from passerelle.fec.entries import RawLine, entry_event
from passerelle.fec.layout import COLUMNS, iso_date, quoted, take_header, text_lines
from passerelle.fec.report import FecError, Finding, Report, UnfitError

# A file that is wrong throughout is told by its first faults.
_MOST_FAULTS = 100

_CHANGED = "the file has changed while it was read"

# JournalCode, JournalLib, EcritureNum, EcritureDate: the first columns tell a line's entry.
_KEY_COLUMNS = 4
# JournalCode and EcritureDate.
_Day = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FecReading:
    """Events in the contract's shape, ready for `entries.submit`, and the report they fill.

    `events` can be gone through once and reads the file meanwhile; the report is whole after it.
    """

    events: Iterator[dict[str, Any]]
    report: Report


def read(stream: BinaryIO, firm: str, folder: str) -> FecReading:
    """The entries of an FEC: UTF-8, the 18 regulated columns between tabs or vertical bars.

    Lines of the same journal, number and date are an entry. What is wrong with one entry leaves
    that entry out, with a finding; a line that does not tell its entry refuses the file before any
    event, because nobody could say then which entries are whole.

    The stream must be seekable, and stay open until the events are taken. It is gone through twice:
    the lines of an entry need not follow one another, so the first time learns where each journal's
    day ends, and the second holds the lines of a day no longer than that.

    Raises:
        FecError: no FEC, or a line does not tell its entry. Taking the events raises it too, if
            the file has changed meanwhile.
    """
    day_ends = _survey(stream)
    report = Report()
    return FecReading(_events(stream, day_ends, firm, folder, report), report)


def _survey(stream: BinaryIO) -> dict[_Day, int]:
    """The number of the last line of each journal's day."""
    stream.seek(0)
    lines = text_lines(stream)
    separator = take_header(lines)
    day_ends: dict[_Day, int] = {}
    faults: list[Finding] = []
    for number, text in lines:
        try:
            day_ends[_day(text.split(separator, _KEY_COLUMNS))] = number
        except UnfitError as error:
            faults.append(Finding((number,), f"{error}; the line's entry cannot be told"))
            if len(faults) == _MOST_FAULTS:
                break
    if faults:
        raise FecError(*faults)
    if not day_ends:
        raise FecError(Finding((1,), "no line follows the header"))
    return day_ends


def _day(fields: list[str]) -> _Day:
    if len(fields) < _KEY_COLUMNS:
        raise UnfitError(f"{len(fields)} columns, expected {len(COLUMNS)}")
    journal, _, number, date = (field.strip() for field in fields[:_KEY_COLUMNS])
    if not journal:
        raise UnfitError("JournalCode is blank")
    if not number.strip("0"):
        raise UnfitError(f"EcritureNum is {quoted(number)}, expected the entry's own number")
    iso_date(date, "EcritureDate")
    return journal, date


def _events(
    stream: BinaryIO, day_ends: dict[_Day, int], firm: str, folder: str, report: Report
) -> Iterator[dict[str, Any]]:
    stream.seek(0)
    lines = text_lines(stream)
    separator = take_header(lines)
    days: dict[_Day, dict[str, list[RawLine]]] = {}
    for number, text in lines:
        fields = [field.strip() for field in text.split(separator)]
        day = tuple(fields[:_KEY_COLUMNS:3])
        day_end = day_ends.get(day, 0)
        if number > day_end:
            raise FecError(Finding((number,), _CHANGED))
        report.lines += 1
        days.setdefault(day, {}).setdefault(fields[2], []).append(RawLine(number, fields))
        if number == day_end:
            for entry in days.pop(day).values():
                event = entry_event(entry, firm, folder, report)
                if event is not None:
                    yield event
    if days:
        raise FecError(Finding((max(day_ends.values()),), _CHANGED))
