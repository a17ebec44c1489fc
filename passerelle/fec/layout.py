"""How an FEC is laid out: text lines, its header, its columns, its dates and amounts.

Source: Livre des procédures fiscales, article A. 47 A-1.
"""

import datetime as dt
import re
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from functools import lru_cache, partial
from itertools import zip_longest
from typing import BinaryIO, NamedTuple

from passerelle.fec.report import FecError, Finding, UnfitError

COLUMNS = (
    "JournalCode",
    "JournalLib",
    "EcritureNum",
    "EcritureDate",
    "CompteNum",
    "CompteLib",
    "CompAuxNum",
    "CompAuxLib",
    "PieceRef",
    "PieceDate",
    "EcritureLib",
    "Debit",
    "Credit",
    "EcritureLet",
    "DateLet",
    "ValidDate",
    "Montantdevise",
    "Idevise",
)

# Far above any line of an FEC: a binary file without line ends must not be read into memory whole.
_LINE_BYTES = 65_536
_BOM = b"\xef\xbb\xbf"
_DATE = re.compile(r"[0-9]{8}")
_AMOUNT = re.compile(r"[0-9]+(,[0-9]{1,2})?")
_TOO_MUCH = Decimal(10) ** 13
_CENT = Decimal("0.01")
_QUOTED = 40


class Row(NamedTuple):
    """One line as it is written, outer blanks trimmed; fields in the order of `COLUMNS`."""

    journal: str
    journal_label: str
    number: str
    date: str
    account: str
    account_label: str
    auxiliary: str
    auxiliary_label: str
    piece_ref: str
    piece_date: str
    description: str
    debit: str
    credit: str
    lettering: str
    lettering_date: str
    validated: str
    currency_amount: str
    currency: str


def text_lines(stream: BinaryIO) -> Iterator[tuple[int, str]]:
    """Number and text of each line that is not empty, without its line end.

    Raises:
        FecError: a line is not UTF-8 text, or longer than any line of an FEC.
    """
    for line, raw in enumerate(iter(partial(stream.readline, _LINE_BYTES), b""), start=1):
        if len(raw) == _LINE_BYTES:
            raise FecError(Finding((line,), f"{_LINE_BYTES:,} bytes or more, not a line of an FEC"))
        try:
            text = (raw.removeprefix(_BOM) if line == 1 else raw).decode()
        except UnicodeDecodeError as error:
            byte = error.object[error.start]
            raise FecError(
                Finding((line,), f"byte 0x{byte:02X} is not UTF-8, expected UTF-8 text")
            ) from error
        if "\0" in text:
            raise FecError(Finding((line,), "holds a NUL character, expected text"))
        text = text.rstrip("\r\n")
        if text:
            yield line, text


def take_header(lines: Iterator[tuple[int, str]]) -> str:
    """The separator, from the first of `lines`.

    Raises:
        FecError: it is not the header of an FEC with the regulated columns in their order.
    """
    line, text = next(lines, (1, ""))
    if not text:
        raise FecError(Finding((line,), "the file is empty, expected the header of an FEC"))
    separator = "\t" if "\t" in text else "|"
    names = [name.strip() for name in text.split(separator)]
    for column, (name, expected) in enumerate(zip_longest(names, COLUMNS), start=1):
        if name is None or expected is None or name.casefold() != expected.casefold():
            found = "missing" if name is None else quoted(name)
            raise FecError(
                Finding(
                    (line,),
                    f"not the header of an FEC: column {column} is {found}, expected "
                    f"{expected or 'no more columns'} (18 columns between tabs or vertical bars)",
                )
            )
    return separator


@lru_cache(maxsize=4096)
def iso_date(text: str, column: str) -> str:
    """`20210901` as `2021-09-01`.

    Raises:
        UnfitError: it is none.
    """
    if _DATE.fullmatch(text):
        with suppress(ValueError):
            return dt.date(int(text[:4]), int(text[4:6]), int(text[6:])).isoformat()
    raise UnfitError(f"{column} is {quoted(text)}, expected a date such as 20210901")


@lru_cache(maxsize=65_536)
def amount(text: str, column: str) -> Decimal:
    """`1234,56` as a number of two decimals, zero or more.

    Raises:
        UnfitError: it is none.
    """
    if _AMOUNT.fullmatch(text):
        value = Decimal(text.replace(",", "."))
        if value < _TOO_MUCH:
            return value.quantize(_CENT)
    raise UnfitError(
        f"{column} is {quoted(text)}, expected an amount such as 1234,56, not below zero"
    )


def quoted(text: str) -> str:
    """A value of the file for a sentence: printable, and short."""
    return repr(text if len(text) <= _QUOTED else text[: _QUOTED - 1] + "…")
