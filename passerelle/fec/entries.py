"""Lines of an FEC that are an entry together, and the event that the entry becomes."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from operator import itemgetter
from typing import Any, NamedTuple

from passerelle.domain.event import Kind
from passerelle.fec.identity import stable_uuid
from passerelle.fec.kind import is_opening_journal, kind_of_accounts, kind_of_journal, opens
from passerelle.fec.lines import Line
from passerelle.fec.report import Reason, UnfitError
from passerelle.fec.values import amount

# The event's bounds. Nothing is cut to fit them: an entry beyond one is left out.
# Contract: the event, version 1.
MOST_JOURNAL_CHARACTERS = 16
_MOST_PIECE_CHARACTERS = 64
_MOST_LINES = 5_000
_MOST_BYTES = 1_000_000
# What an event holds besides its entry, firm and folder at their longest.
_ENVELOPE_BYTES = 1_200
# Lines of the longest texts, in characters of six bytes each, that are no megabyte yet.
_SURELY_FIT = 80
# Of an entry that an FEC tells of, always.
REVISION = 1
_CURRENCY = re.compile(r"[A-Z]{3}")
# Of a rate. A cent of the largest amount that an event can hold takes 15.
_LEAST_DECIMALS, _MOST_DECIMALS = 4, 20
_OF_ENTRY = itemgetter(
    *map(
        Line._fields.index,
        ("journal_label", "piece_ref", "piece_date", "debit", "credit", "validated"),
    )
)
_ZERO = Decimal("0.00")
_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Choices:
    """What people say of a file: kinds and other codes for its journals, by the file's code."""

    kinds: Mapping[str, Kind] = field(default_factory=dict)
    journals: Mapping[str, str] = field(default_factory=dict)
    with_opening: bool = True


class UnfitEntryError(UnfitError):
    """Lines are no entry that can be sent."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Entry(NamedTuple):
    """Balanced lines with an amount each, of one journal and date (`20210901`).

    Of what belongs to the whole entry the tuples hold each value that the lines give, once. `total`
    is the debit and, as it balances, the credit. `stand_in` is the piece reference where no line
    has one.
    """

    id: str
    journal: str
    date: str
    stand_in: str
    lines: Sequence[Line]
    total: Decimal
    journal_labels: Sequence[str]
    piece_refs: Sequence[str]
    piece_dates: Sequence[str]
    validated: str | None

    @property
    def line_numbers(self) -> tuple[int, ...]:
        return tuple([line.number for line in self.lines])

    @property
    def journal_label(self) -> str | None:
        return self.journal_labels[0] if self.journal_labels else None

    @property
    def piece_ref(self) -> str:
        return self.piece_refs[0] if self.piece_refs else self.stand_in

    def opens_year(self, first_date: str) -> bool:
        """Whether it brings forward the balances of the year before (à-nouveaux).

        `first_date` is the file's.
        """
        return is_opening_journal(self.journal, self.journal_label or "") or (
            self.date == first_date
            and opens(
                [line.account for line in self.lines], [line.description for line in self.lines]
            )
        )

    def kind(self, choices: Choices) -> Kind:
        told = choices.kinds.get(self.journal) or kind_of_journal(
            self.journal, self.journal_label or ""
        )
        return told or kind_of_accounts([line.account for line in self.lines])


def make_entry(
    identity: str, stand_in: str, date: str, journal: str, lines: Sequence[Line]
) -> Entry:
    """The entry of lines that have an amount each.

    Raises:
        UnfitEntryError: they are none.
    """
    # Column by column, as nearly every entry has two or three lines.
    labels, pieces, dates, left, right, validated = zip(*map(_OF_ENTRY, lines), strict=True)
    debit, credit = sum(left, _ZERO), sum(right, _ZERO)
    if debit != credit:
        raise UnfitEntryError(Reason.UNBALANCED, f"not balanced: debit {debit}, credit {credit}")
    if len(lines) > _MOST_LINES:
        message = f"{len(lines):,} lines, expected at most {_MOST_LINES:,}"
        raise UnfitEntryError(Reason.UNFIT, message)
    entry = Entry(
        identity,
        journal,
        date,
        stand_in,
        lines,
        debit,
        _given(labels),
        _given(pieces),
        _given(dates),
        _latest(validated),
    )
    for column, text, most in (
        ("JournalCode", journal, MOST_JOURNAL_CHARACTERS),
        ("EcritureNum", entry.piece_ref, _MOST_PIECE_CHARACTERS),
    ):
        if len(text) > most:
            message = f"{column} has {len(text)} characters, expected at most {most}"
            raise UnfitEntryError(Reason.UNFIT, message)
    if len(lines) > _SURELY_FIT:
        # As Celery writes it, blanks and escapes included.
        size = len(json.dumps(_shape(entry, Choices()))) + _ENVELOPE_BYTES
        if size > _MOST_BYTES:
            message = f"{size:,} bytes as an event, expected at most {_MOST_BYTES:,}"
            raise UnfitEntryError(Reason.UNFIT, message)
    return entry


def sum_of(lines: Sequence[Line]) -> tuple[Decimal, Decimal]:
    """Debit and credit."""
    return (
        sum([line.debit for line in lines], _ZERO),
        sum([line.credit for line in lines], _ZERO),
    )


def entry_event(entry: Entry, firm: str, folder: str, choices: Choices) -> dict[str, Any]:
    """The event of an entry, in the contract's shape.

    - `revision` is `REVISION`.
    - `occurred_at` is the latest ValidDate of the lines at midnight UTC (an FEC has no times), or
      the entry's date where no line has one.
    - `event_id` is a UUID of everything else in the event, firm and folder included: the same
      content gives the same id.
    """
    event = {
        "type": "entry.validated",
        "schema_version": 1,
        "occurred_at": f"{entry.validated or _iso(entry.date)}T00:00:00+00:00",
        "firm": firm,
        "folder": folder,
        "entry": _shape(entry, choices),
    }
    return {"event_id": str(stable_uuid(event)), **event}


def is_same_booking(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two events' `entry` of one id book the same.

    What a newer export of the same year may tell otherwise does not matter: lettering, labels of
    accounts, third parties and journals, the kind, which may derive from a label, and which line
    stands first.
    """
    return _booking(one) == _booking(other)


def foreign_currency(entry: Entry) -> str | None:
    """The one currency but the euro that the lines name; None for none, or several."""
    found = {line.currency.upper() for line in entry.lines if line.currency} - {"EUR"}
    only = found.pop() if len(found) == 1 else ""
    return only if _CURRENCY.fullmatch(only) else None


def in_currency(line: Line, currency: str | None) -> tuple[Decimal, str] | None:
    """A line's amount in a foreign currency, and the euros that one unit of it is worth.

    The rate has as many decimals as it takes to give the line's euros to the cent. None where the
    line tells no such amount.
    """
    if currency is None or line.currency.upper() != currency:
        return None
    try:
        foreign = abs(amount(line.currency_amount, "Montantdevise"))
    except UnfitError:
        return None
    if not foreign:
        return None
    euros = line.debit + line.credit
    with localcontext(prec=40):
        for decimals in range(_LEAST_DECIMALS, _MOST_DECIMALS):
            rate = (euros / foreign).quantize(Decimal(1).scaleb(-decimals))
            if (foreign * rate).quantize(_CENT) == euros:
                return foreign, f"{rate:f}"
    return None


def _given(values: Sequence[str | None]) -> Sequence[str]:
    """The values that are not blank, each once, in their order."""
    first = values[0]
    # Of nearly every entry.
    if values.count(first) == len(values):
        return (first,) if first else ()
    return tuple(dict.fromkeys(filter(None, values)))


def _latest(dates: Sequence[str | None]) -> str | None:
    given = _given(dates)
    return max(given) if given else None


def _shape(entry: Entry, choices: Choices) -> dict[str, Any]:
    currency = foreign_currency(entry)
    lines = [_line(line, currency) for line in entry.lines]
    shape: dict[str, Any] = {
        "id": entry.id,
        "revision": REVISION,
        "kind": entry.kind(choices).value,
        "journal": {"code": choices.journals.get(entry.journal, entry.journal)},
        "date": _iso(entry.date),
        "piece_ref": entry.piece_ref,
        "lines": lines,
    }
    if entry.journal_label:
        shape["journal"]["label"] = entry.journal_label
    if entry.piece_dates:
        shape["document_date"] = entry.piece_dates[0]
    if any("currency_amount" in line for line in lines):
        shape["currency"] = currency
    return shape


def _booking(entry: dict[str, Any]) -> dict[str, Any]:
    lines = [
        {
            **{key: line[key] for key in line.keys() - {"lettering", "account_label"}},
            "auxiliary": line.get("auxiliary", {}).get("code"),
        }
        for line in entry["lines"]
    ]
    told = {key: entry[key] for key in entry.keys() - {"kind"}}
    in_any_order = sorted(json.dumps(line, sort_keys=True) for line in lines)
    return {**told, "journal": entry["journal"]["code"], "lines": in_any_order}


def _iso(date: str) -> str:
    return f"{date[:4]}-{date[4:6]}-{date[6:]}"


def _line(line: Line, currency: str | None) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "account": line.account,
        "description": line.description,
        "debit": str(line.debit),
        "credit": str(line.credit),
    }
    if line.account_label:
        shape["account_label"] = line.account_label
    if line.auxiliary:
        shape["auxiliary"] = {"code": line.auxiliary}
        if line.auxiliary_label:
            shape["auxiliary"]["label"] = line.auxiliary_label
    told = in_currency(line, currency)
    if told is not None:
        shape["currency_amount"], shape["currency_rate"] = str(told[0]), told[1]
    if line.due_date:
        shape["due_date"] = line.due_date
    if line.lettering:
        shape["lettering"] = {"code": line.lettering}
        if line.lettering_date:
            shape["lettering"]["date"] = line.lettering_date
    return shape
