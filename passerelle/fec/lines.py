"""The lines of a file as values.

Many lines are read at once, column by column: a line alone costs ten times what it costs among
others. Where one of them cannot be read, none is, and each has to be read alone to find out which.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from itertools import combinations_with_replacement, repeat
from typing import Any, NamedTuple

from passerelle.fec.layout import DUE_DATE, Layout
from passerelle.fec.report import UnfitError
from passerelle.fec.scratch import Key
from passerelle.fec.values import (
    USUAL_AMOUNTS,
    Readings,
    amount,
    compact_date,
    optional_date,
    quoted,
)

# The event's bounds. Nothing is cut to fit them.
# Contract: the event, version 1.
_MOST_CHARACTERS = {
    "JournalLib": 255,
    "CompteNum": 32,
    "CompteLib": 255,
    "CompAuxNum": 64,
    "CompAuxLib": 255,
    "PieceRef": 64,
    "EcritureLib": 1000,
    "EcritureLet": 32,
    # Not the event's bounds: no amount or code is as long.
    "Montantdevise": 32,
    "Idevise": 32,
}
_ACCOUNT = re.compile(r"[0-9A-Za-z]+")
_SIDES = {
    **dict.fromkeys(("D", "DEBIT", "DÉBIT", "+1", "1", "+"), True),
    **dict.fromkeys(("C", "CREDIT", "CRÉDIT", "-1", "-"), False),
}
_FREE_TEXT = ("JournalLib", "CompteLib", "CompAuxLib", "PieceRef", "EcritureLib")
_ZERO = Decimal("0.00")
_NOT_TURNED = False
# Lines that tell how the others end.
_SAMPLE = 100
# With more, the ways to read a line are too many to be one.
_MOST_STRAY_SEPARATORS = 4

_KEY = ("EcritureDate", "JournalCode", "EcritureNum")
# The fields of a line that come from one column each, in their order.
_BEFORE_PIECE = ("JournalLib", "CompteNum", "CompteLib", "CompAuxNum", "CompAuxLib")
_BEHIND_AMOUNTS = ("EcritureLet", "DateLet", "ValidDate", "Montantdevise", "Idevise", DUE_DATE)

# What each column of the file holds, for some lines.
_Columns = Sequence[Sequence[str]]


class Line(NamedTuple):
    """A line of the file; dates as `2021-09-01`, None where blank; texts without outer blanks.

    At most one of debit and credit is above zero, and none is below: where `turned`, the file has
    an amount below zero, which is one above zero on the other side.
    """

    number: int
    journal_label: str
    account: str
    account_label: str
    auxiliary: str
    auxiliary_label: str
    piece_ref: str
    piece_date: str | None
    description: str
    debit: Decimal
    credit: Decimal
    turned: bool
    lettering: str
    lettering_date: str | None
    validated: str | None
    currency_amount: str
    currency: str
    due_date: str | None


def fitted_reader(layout: Layout, texts: Sequence[str]) -> "LineReader":
    """A reader for lines like these, the first of a file.

    They may end with separators that the header does not have, or without those that it has.
    """
    sample = texts[:_SAMPLE]
    counts = Counter(text.count(layout.separator) + 1 for text in sample)
    width = max(counts, key=counts.__getitem__, default=layout.width)
    fitted = LineReader(replace(layout, width=max(width, layout.least)))
    # Else it is their texts that hold separators.
    is_so = width <= layout.least or 2 * sum(map(fitted.is_sound, sample)) > counts[width]
    return fitted if is_so else LineReader(layout)


class LineReader:
    """Reads lines of one layout."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._key_width = 1 + max(layout.places.get(name, 0) for name in _KEY)
        self._free_text = [layout.places[name] for name in _FREE_TEXT if name in layout.places]
        self._read = {name: Readings(read, name) for name, read in _READ.items()}

    def is_sound(self, text: str) -> bool:
        """Whether a line has the usual number of columns, and what they should hold."""
        fields = text.split(self._layout.separator)
        return len(fields) == self._layout.width and self._is_sound(fields)

    def keys(self, texts: Sequence[str]) -> list[Key]:
        """What tells the entry of each line.

        Raises:
            UnfitError: of a line it cannot be told.
        """
        separator, width = self._layout.separator, self._key_width
        if self._are_even(texts):
            # What comes behind need not be split yet: a third of the time.
            rows = [text.split(separator, width) for text in texts]
            return self._keys(list(zip(*rows, strict=False)))
        return self._keys(self._columns(texts))

    def likely_key(self, text: str) -> Key:
        """What tells the entry of a line of the wrong number of columns, if it can be told.

        Raises:
            UnfitError: it cannot.
        """
        fields = text.split(self._layout.separator, self._key_width)
        if len(fields) < self._key_width:
            raise UnfitError(f"{len(fields)} columns, expected {self._layout.least}")
        return self._keys([[one] for one in fields])[0]

    def lines(self, numbers: Sequence[int], texts: Sequence[str]) -> tuple[list[Key], list[Line]]:
        """Lines, and what tells their entries.

        Raises:
            UnfitError: one cannot be read.
        """
        columns = self._columns(texts)
        return self._keys(columns), self._lines(numbers, columns)

    def _columns(self, texts: Sequence[str]) -> _Columns:
        """The fields of all lines, by the header's columns.

        Raises:
            UnfitError: a line has another number, and no or more than one way to be read.
        """
        separator, width = self._layout.separator, self._layout.width
        if self._are_even(texts):
            fields = separator.join(texts).split(separator)
        else:
            fields = [field for text in texts for field in self._fields(text)]
        return [fields[place::width] for place in range(width)]

    def _are_even(self, texts: Sequence[str]) -> bool:
        separators = {text.count(self._layout.separator) for text in texts}
        return separators == {self._layout.width - 1}

    def _keys(self, columns: _Columns) -> list[Key]:
        return list(zip(*(self._column(name, columns) for name in _KEY), strict=False))

    def _lines(self, numbers: Sequence[int], columns: _Columns) -> list[Line]:
        left, right = self._amounts(columns)
        turned: Iterable[bool] = repeat(_NOT_TURNED)
        if any(map(min, left, right)):
            left, right, turned = _turned(left, right)
        values = zip(
            numbers,
            *(self._column(name, columns) for name in _BEFORE_PIECE),
            self._texts("PieceRef", columns),
            self._column("PieceDate", columns),
            self._texts("EcritureLib", columns),
            left,
            right,
            turned,
            *(self._column(name, columns) for name in _BEHIND_AMOUNTS),
            strict=False,
        )
        # What `Line._make` does, without a call of Python's for each line.
        return list(map(partial(tuple.__new__, Line), values))

    def _texts(self, name: str, columns: _Columns) -> Iterable[str]:
        """The values of a column of texts that seldom come twice."""
        place = self._layout.places.get(name)
        if place is None:
            return repeat("")
        texts = list(map(str.strip, columns[place]))
        if max(map(len, texts)) > _MOST_CHARACTERS[name]:
            _bounded(max(texts, key=len), name)
        return texts

    def _column(self, name: str, columns: _Columns) -> Iterable[Any]:
        """The values of a column, without end where the file does not have it."""
        place = self._layout.places.get(name)
        readings = self._read[name]
        if place is None:
            return repeat(readings[""])
        return map(readings.__getitem__, columns[place])

    def _amounts(self, columns: _Columns) -> tuple[Sequence[Decimal], Sequence[Decimal]]:
        if not self._layout.sided:
            return self._amounts_of("Debit", columns), self._amounts_of("Credit", columns)
        sides = list(self._column("Sens", columns))
        amounts = self._amounts_of("Montant", columns)
        return (
            [one if is_debit else _ZERO for one, is_debit in zip(amounts, sides, strict=True)],
            [_ZERO if is_debit else one for one, is_debit in zip(amounts, sides, strict=True)],
        )

    def _amounts_of(self, name: str, columns: _Columns) -> Sequence[Decimal]:
        # Few amounts are met twice, and most are written as the law has it.
        texts = "\n".join(columns[self._layout.places[name]])
        if USUAL_AMOUNTS.fullmatch(texts):
            return list(map(Decimal, texts.replace(",", ".").split("\n")))
        return list(self._column(name, columns))

    def _fields(self, text: str) -> list[str]:
        layout = self._layout
        fields = text.split(layout.separator)
        count, width = len(fields), layout.width
        if count == width:
            return fields
        if layout.least <= count < width:
            return [*fields, *[""] * (width - count)]
        ways = list(self._readings(fields))
        closed = count > width and not any(map(str.strip, fields[width:]))
        if closed and (self._is_sound(fields[:width]) or not ways):
            ways.append(fields[:width])
        if len(ways) == 1:
            return ways[0]
        told = ", and more than one way to read them" if ways else ""
        raise UnfitError(f"{count} columns, expected {layout.least}{told}")

    def _readings(self, fields: list[str]) -> Iterator[list[str]]:
        """The ways in which separators may belong to free text, such that all else is sound."""
        stray = len(fields) - self._layout.width
        if not 0 < stray <= _MOST_STRAY_SEPARATORS:
            return
        for share in combinations_with_replacement(self._free_text, stray):
            reading = self._joined(fields, Counter(share))
            if self._is_sound(reading):
                yield reading

    def _joined(self, fields: list[str], stray: Mapping[int, int]) -> list[str]:
        joined: list[str] = []
        start = 0
        for place in range(self._layout.width):
            end = start + 1 + stray.get(place, 0)
            joined.append(self._layout.separator.join(fields[start:end]))
            start = end
        return joined

    def _is_sound(self, fields: list[str]) -> bool:
        columns = [[one] for one in fields]
        try:
            self._keys(columns)
            [line] = self._lines([0], columns)
        except UnfitError:
            return False
        if any(map(str.strip, fields[self._layout.least :])):
            return False
        # Two blanks are amounts, too: as a sign that all stands in its place they do not do.
        return bool(line.debit or line.credit)


def _turned(
    left: Sequence[Decimal], right: Sequence[Decimal]
) -> tuple[Sequence[Decimal], Sequence[Decimal], Sequence[bool]]:
    """Debits, credits, and which are turned.

    Raises:
        UnfitError: a line has both.
    """
    pairs = list(zip(left, right, strict=True))
    if any(debit and credit for debit, credit in pairs):
        raise UnfitError("both Debit and Credit have an amount, expected one of them")
    return (
        [max(debit, -credit, _ZERO) for debit, credit in pairs],
        [max(credit, -debit, _ZERO) for debit, credit in pairs],
        [min(pair) < 0 for pair in pairs],
    )


def _journal(text: str, column: str) -> str:
    if not text:
        raise UnfitError(f"{column} is blank")
    return text


def _number(text: str, _column: str) -> str:
    """A number of zeros is none."""
    return text if text.strip("0") else ""


def _account(text: str, column: str) -> str:
    if not _ACCOUNT.fullmatch(text):
        raise UnfitError(f"{column} is {quoted(text)}, expected digits and letters A to Z")
    return _bounded(text, column)


def _bounded(text: str, column: str) -> str:
    most = _MOST_CHARACTERS[column]
    if len(text) > most:
        raise UnfitError(f"{column} has {len(text)} characters, expected at most {most}")
    return text


def _side(text: str, column: str) -> bool:
    """Whether it is a debit."""
    side = _SIDES.get(text.upper())
    if side is None:
        raise UnfitError(f"{column} is {quoted(text)}, expected D or C")
    return side


_READ: Mapping[str, Callable[[str, str], Any]] = {
    "JournalCode": _journal,
    "JournalLib": _bounded,
    "EcritureNum": _number,
    "EcritureDate": compact_date,
    "CompteNum": _account,
    "CompteLib": _bounded,
    "CompAuxNum": _bounded,
    "CompAuxLib": _bounded,
    "PieceDate": optional_date,
    "Debit": amount,
    "Credit": amount,
    "Montant": amount,
    "Sens": _side,
    "EcritureLet": _bounded,
    "DateLet": optional_date,
    "ValidDate": optional_date,
    "Montantdevise": _bounded,
    "Idevise": _bounded,
    DUE_DATE: optional_date,
}
