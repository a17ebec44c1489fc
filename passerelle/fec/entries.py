"""The lines of one entry, to its event."""

import json
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from operator import attrgetter
from typing import Any, NamedTuple

from passerelle.fec.kind import kind_of
from passerelle.fec.layout import COLUMNS, Row, amount, iso_date, quoted
from passerelle.fec.report import Finding, Report, UnfitError, shortened

# The event's bounds. Nothing is cut to fit them: an entry beyond one is left out.
# Contract: the event, version 1.
_ID_CHARACTERS = 64
_MOST_LINES = 5_000
# 1 MB, less what `event_id` takes, which is added after measuring.
_MOST_BYTES = 1_000_000 - 100
_ACCOUNT = re.compile(r"[0-9A-Za-z]+")
_MOST_CHARACTERS = tuple(
    (COLUMNS.index(column), most)
    for column, most in (
        ("JournalCode", 16),
        ("JournalLib", 255),
        ("EcritureNum", 64),  # stands in for a missing PieceRef
        ("CompteNum", 32),
        ("CompteLib", 255),
        ("CompAuxNum", 64),
        ("CompAuxLib", 255),
        ("PieceRef", 64),
        ("EcritureLib", 1000),
        ("EcritureLet", 32),
    )
)
_NAMESPACE = uuid.UUID("ee07c73d-8095-579a-a60a-888d1b8ba0ec")


class RawLine(NamedTuple):
    """A line's number in the file and its fields, outer blanks trimmed; at least the first four."""

    number: int
    fields: list[str]


class _Line(NamedTuple):
    number: int
    row: Row
    debit: Decimal
    credit: Decimal


@dataclass(frozen=True, slots=True)
class _Entry:
    """Balanced lines with an amount each; of what belongs to the whole entry, each value given."""

    id: str
    lines: list[_Line]
    total: Decimal
    journal_labels: list[str]
    piece_refs: list[str]
    piece_dates: list[str]
    validated: str | None


def entry_event(
    raw_lines: Sequence[RawLine], firm: str, folder: str, report: Report
) -> dict[str, Any] | None:
    """The event for the lines of one entry, or None where the entry had to be left out.

    - `entry.id` derives from date, journal and number (`entry_id`); `revision` is 1.
    - `occurred_at` is the latest ValidDate of the lines at midnight UTC (an FEC has no times), or
      the entry's date where no line has one.
    - `event_id` is a UUID of everything else in the event, firm and folder included: the same
      content gives the same id.

    The report learns what came out, what was left out and what is not carried.
    """
    journal, _, number, date = raw_lines[0].fields[:4]
    identity = entry_id(date, journal, number)
    try:
        lines = _read_all(raw_lines)
        entry = _entry(identity, [line for line in lines if line.debit or line.credit])
        event = _event(entry, firm, folder)
    except UnfitError as error:
        numbers = tuple(raw.number for raw in raw_lines)
        report.left_out.append(Finding(numbers, str(error), identity))
        return None
    empty = tuple(line.number for line in lines if not (line.debit or line.credit))
    if empty:
        message = "neither Debit nor Credit has an amount"
        report.left_out.append(Finding(empty, message, identity))
    report.notes.extend(
        Finding(numbers, message, identity) for numbers, message in _not_carried(entry)
    )
    label = next(iter(entry.journal_labels), None)
    report.came_out(journal, label, len(entry.lines), entry.total)
    return event


def entry_id(date: str, journal: str, number: str) -> str:
    """The id of the entry with this EcritureDate, JournalCode and EcritureNum, from them alone.

    Readable, as in `fec:20210901:ACH:125`, or, where that would be too long or could be read two
    ways, `fec:` and a UUID of the three.
    """
    readable = f"fec:{date}:{journal}:{number}"
    if len(readable) <= _ID_CHARACTERS and ":" not in journal:
        return readable
    return f"fec:{uuid.uuid5(_NAMESPACE, json.dumps([date, journal, number]))}"


def _read_all(raw_lines: Sequence[RawLine]) -> list[_Line]:
    lines: list[_Line] = []
    faults: list[str] = []
    for raw in raw_lines:
        try:
            lines.append(_read(raw))
        except UnfitError as error:
            faults.append(f"line {raw.number}: {error}")
    if faults:
        raise UnfitError(shortened(faults, "; "))
    return lines


def _read(raw: RawLine) -> _Line:
    fields = raw.fields
    if len(fields) != len(COLUMNS):
        raise UnfitError(f"{len(fields)} columns, expected {len(COLUMNS)}")
    row = Row._make(fields)
    if not _ACCOUNT.fullmatch(row.account):
        raise UnfitError(f"CompteNum is {quoted(row.account)}, expected digits and letters A to Z")
    for index, most in _MOST_CHARACTERS:
        if len(fields[index]) > most:
            raise UnfitError(
                f"{COLUMNS[index]} has {len(fields[index])} characters, expected at most {most}"
            )
    for text, column in (
        (row.piece_date, "PieceDate"),
        (row.lettering_date, "DateLet"),
        (row.validated, "ValidDate"),
    ):
        if text:
            iso_date(text, column)
    line = _Line(raw.number, row, amount(row.debit, "Debit"), amount(row.credit, "Credit"))
    if line.debit and line.credit:
        raise UnfitError("both Debit and Credit have an amount, expected one of them")
    return line


def _entry(identity: str, lines: list[_Line]) -> _Entry:
    debit = sum((line.debit for line in lines), Decimal(0))
    credit = sum((line.credit for line in lines), Decimal(0))
    if debit != credit:
        raise UnfitError(f"not balanced: debit {debit:.2f}, credit {credit:.2f}")
    if not lines:
        raise UnfitError("no line has an amount")
    if len(lines) > _MOST_LINES:
        raise UnfitError(f"{len(lines):,} lines, expected at most {_MOST_LINES:,}")
    rows = [line.row for line in lines]
    return _Entry(
        id=identity,
        lines=lines,
        total=debit,
        journal_labels=_given(rows, "journal_label"),
        piece_refs=_given(rows, "piece_ref"),
        piece_dates=_given(rows, "piece_date"),
        validated=max(_given(rows, "validated"), default=None),
    )


def _given(rows: list[Row], column: str) -> list[str]:
    """The column's values that are not blank, each once, in their order."""
    return list(dict.fromkeys(filter(None, map(attrgetter(column), rows))))


def _event(entry: _Entry, firm: str, folder: str) -> dict[str, Any]:
    first = entry.lines[0].row
    label = next(iter(entry.journal_labels), "")
    validated = entry.validated or first.date
    shape: dict[str, Any] = {
        "id": entry.id,
        "revision": 1,
        "kind": kind_of(label, [line.row.account for line in entry.lines]).value,
        "journal": {"code": first.journal},
        "date": iso_date(first.date, "EcritureDate"),
        "piece_ref": next(iter(entry.piece_refs), first.number),
        "lines": [_line(line) for line in entry.lines],
    }
    if label:
        shape["journal"]["label"] = label
    if entry.piece_dates:
        shape["document_date"] = iso_date(entry.piece_dates[0], "PieceDate")
    event = {
        "type": "entry.validated",
        "schema_version": 1,
        "occurred_at": f"{iso_date(validated, 'ValidDate')}T00:00:00+00:00",
        "firm": firm,
        "folder": folder,
        "entry": shape,
    }
    # As Celery writes it, blanks and escapes included.
    content = json.dumps(event)
    if len(content) > _MOST_BYTES:
        raise UnfitError(f"{len(content):,} bytes as an event, expected at most {_MOST_BYTES:,}")
    return {"event_id": str(uuid.uuid5(_NAMESPACE, content)), **event}


def _line(line: _Line) -> dict[str, Any]:
    row = line.row
    shape: dict[str, Any] = {
        "account": row.account,
        "description": row.description,
        "debit": str(line.debit),
        "credit": str(line.credit),
    }
    if row.account_label:
        shape["account_label"] = row.account_label
    if row.auxiliary:
        shape["auxiliary"] = {"code": row.auxiliary}
        if row.auxiliary_label:
            shape["auxiliary"]["label"] = row.auxiliary_label
    if row.lettering:
        shape["lettering"] = {"code": row.lettering}
        if row.lettering_date:
            shape["lettering"]["date"] = iso_date(row.lettering_date, "DateLet")
    return shape


def _not_carried(entry: _Entry) -> Iterator[tuple[tuple[int, ...], str]]:
    """What the event does not say, or says otherwise than the file: line numbers and a sentence."""
    everything = tuple(line.number for line in entry.lines)
    if not entry.piece_refs:
        yield everything, "no PieceRef: EcritureNum is taken"
    if entry.validated is None:
        yield everything, "no ValidDate: EcritureDate is taken"
    for column, values in (
        ("JournalLib", entry.journal_labels),
        ("PieceRef", entry.piece_refs),
        ("PieceDate", entry.piece_dates),
    ):
        if len(values) > 1:
            others = shortened([quoted(value) for value in values[1:]], ", ")
            yield everything, f"several {column}: {quoted(values[0])} is taken, not {others}"
    for message, is_lost in _LOSSES:
        numbers = tuple(line.number for line in entry.lines if is_lost(line.row))
        if numbers:
            yield numbers, message


def _is_foreign(row: Row) -> bool:
    return row.currency not in {"", "EUR"} or (
        row.currency_amount not in {"", row.debit, row.credit}
    )


_LOSSES: tuple[tuple[str, Callable[[Row], object]], ...] = (
    # An event's currency amount needs a rate, and an FEC has none.
    ("Montantdevise and Idevise are not carried", _is_foreign),
    (
        "CompAuxLib without CompAuxNum is not carried",
        lambda row: row.auxiliary_label and not row.auxiliary,
    ),
    (
        "DateLet without EcritureLet is not carried",
        lambda row: row.lettering_date and not row.lettering,
    ),
)
