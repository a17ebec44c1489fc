"""Dates and amounts as FEC files write them, and how a value is shown in a sentence.

Source of the regulated writing: Livre des procédures fiscales, article A. 47 A-1: dates `YYYYMMDD`,
amounts with a decimal comma, without thousands separators, the sign in front.
"""

import datetime as dt
import re
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import TypeVar

from passerelle.fec.report import UnfitError

# No year outside these is meant, so that `20210901` and `01092021` are never two dates of a text.
_FIRST_YEAR, _LAST_YEAR = 1900, 2199
_YEAR_FIRST = r"(?P<y>[0-9]{4})(?P<s>[-/.]?)(?P<m>[0-9]{2})(?P=s)(?P<d>[0-9]{2})"
_DAY_FIRST = r"(?P<d>[0-9]{2})(?P<m>[0-9]{2})(?P<y>[0-9]{4})"
_DAY_FIRST_APART = r"(?P<d>[0-9]{1,2})(?P<s>[-/.])(?P<m>[0-9]{1,2})(?P=s)(?P<y>[0-9]{4})"
_TIME = r"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?Z?)?"
_DATES = [re.compile(date + _TIME) for date in (_YEAR_FIRST, _DAY_FIRST, _DAY_FIRST_APART)]
_NO_DATE = re.compile(r"[0/.-]*")

_USUAL = r"[0-9]{1,13}[.,][0-9]{2}"
# One a line.
USUAL_AMOUNTS = re.compile(rf"{_USUAL}(?:\n{_USUAL})*")
# Three decimals are refused: `1,000` may be a thousand.
_PLAIN = re.compile(r"[+-]?(?:[0-9]+(?:[.,](?:[0-9]{1,2}|[0-9]{2}0{2,})?)?|[.,][0-9]{1,2})")
_THOUSANDS = re.compile(
    r"([+-]?[0-9]{1,3})"
    r"((?:[ \u00a0\u202f][0-9]{3})+|(?:\.[0-9]{3})+(?=,)|(?:,[0-9]{3})+(?=\.))"
    r"(?:[.,]([0-9]{1,2}))?"
)
_NO_DIGITS = re.compile(r"[^0-9]")
_TOO_MUCH = Decimal(10) ** 13
_ZERO = Decimal("0.00")
_CENT = Decimal("0.01")
_QUOTED = 40
_MOST_READ = 16_384

_T = TypeVar("_T")


class Readings(dict[str, _T]):
    """What texts of one column mean: `readings[text]` reads a text without its outer blanks, once,
    or raises.
    """

    def __init__(self, read: Callable[[str, str], _T], column: str) -> None:
        self._read = read
        self._column = column

    def __missing__(self, text: str) -> _T:
        if len(self) == _MOST_READ:
            self.clear()
        value = self[text] = self._read(text.strip(), self._column)
        return value


def iso_date(text: str, column: str) -> str:
    """A date as `2021-09-01`.

    Read are `20210901`, `01092021`, `2021-09-01`, `01/09/2021` and the like with strokes, points or
    hyphens; a time of day behind it is passed over. The day stands before the month.

    Raises:
        UnfitError: it is none, or may be two.
    """
    for pattern in _DATES:
        found = pattern.fullmatch(text)
        if found and _FIRST_YEAR <= int(found["y"]) <= _LAST_YEAR:
            with suppress(ValueError):
                return dt.date(int(found["y"]), int(found["m"]), int(found["d"])).isoformat()
    raise UnfitError(f"{column} is {quoted(text)}, expected a date such as 20210901")


def compact_date(text: str, column: str) -> str:
    """A date as `20210901`, read as `iso_date` reads it.

    Raises:
        UnfitError: it is none, or may be two.
    """
    return iso_date(text, column).replace("-", "")


def optional_date(text: str, column: str) -> str | None:
    """A date as `iso_date` gives it; None where it is blank or all zeros.

    Raises:
        UnfitError: it is neither.
    """
    return None if _NO_DATE.fullmatch(text) else iso_date(text, column)


def amount(text: str, column: str) -> Decimal:
    """A number of two decimals, below zero where it is signed so; zero where it is blank.

    Decimal comma or point, zeros in front, thousands apart by blanks or by the other mark.

    Raises:
        UnfitError: it is none, or may be two.
    """
    if not text:
        return _ZERO
    if _PLAIN.fullmatch(text):
        value = Decimal(text.replace(",", "."))
    elif grouped := _THOUSANDS.fullmatch(text):
        first, others, decimals = grouped.groups(default="0")
        value = Decimal(f"{first}{_NO_DIGITS.sub('', others)}.{decimals}")
    else:
        value = _TOO_MUCH
    if abs(value) < _TOO_MUCH:
        # Zero has no sign.
        return value.quantize(_CENT) + _ZERO
    raise UnfitError(f"{column} is {quoted(text)}, expected an amount such as 1234,56")


def quoted(text: str) -> str:
    """A value of the file for a sentence: printable, and short."""
    return repr(text if len(text) <= _QUOTED else text[: _QUOTED - 1] + "…")
