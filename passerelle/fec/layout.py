"""How the lines of an FEC are laid out: separator, and which column stands where.

Source: Livre des procédures fiscales, article A. 47 A-1.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from passerelle.fec.report import FecError, Finding
from passerelle.fec.values import quoted

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
DUE_DATE = "DateEcheance"
# Not regulated: under these names accounting packages export it.
_DUE_DATES = (DUE_DATE, "Echeance", "DateEch", "DateDEcheance", "EcritureEcheance")
# What may stand in the place of Debit and Credit: an amount and its side.
_SIDED = ("Montant", "Sens")
_SIDES = ("Debit", "Credit")
_NEEDED = ("JournalCode", "EcritureDate", "CompteNum", "EcritureLib")
_SEPARATORS = {"\t": "tab", "|": "vertical bar", ";": "semicolon"}
_INSIGNIFICANT = re.compile(r"[^0-9a-z]")


@dataclass(frozen=True, slots=True)
class Layout:
    """Which column stands where, from 0, by its regulated name or `DUE_DATE`.

    `width` is a line's number of columns, and `least` that without those which only trailing
    separators make. Where `sided`, Montant and Sens stand for Debit and Credit. `unread` names
    columns that are not carried, `absent` regulated ones that the file does not have.
    """

    separator: str
    width: int
    least: int
    places: Mapping[str, int]
    sided: bool
    unread: Sequence[str]
    absent: Sequence[str]

    @property
    def separator_name(self) -> str:
        return _SEPARATORS[self.separator]


def read_header(line: int, text: str) -> Layout:
    """The layout that a header tells: names in any case and order, blanks around them.

    Raises:
        FecError: it is not the header of an FEC, or one without a column that is needed.
    """
    known = {_folded(name): name for name in (*COLUMNS, *_SIDED)}
    known |= dict.fromkeys(map(_folded, _DUE_DATES), DUE_DATE)
    separator = max(
        _SEPARATORS,
        key=lambda one: len(known.keys() & set(map(_folded, text.split(one)))),
    )
    names = [name.strip() for name in text.split(separator)]
    places: dict[str, int] = {}
    unread: list[str] = []
    for place, name in enumerate(names):
        column = known.get(_folded(name))
        if column in places:
            raise _no_header(line, f"it names {column} twice")
        if column is not None:
            places[column] = place
        elif name:
            unread.append(name)
    if not places:
        raise _no_header(line, f"it begins with {quoted(text)}")
    sided = "Debit" not in places and places.keys() >= {*_SIDED}
    if not sided:
        unread += [names[places[name]] for name in _SIDED if name in places]
    needed = (*_NEEDED, *(_SIDED if sided else _SIDES))
    missing = [name for name in needed if name not in places]
    if missing:
        raise _no_header(line, f"it lacks {' and '.join(missing)}")
    return Layout(
        separator=separator,
        width=len(names),
        least=1 + max(place for place, name in enumerate(names) if name),
        places=places,
        sided=sided,
        unread=unread,
        absent=[name for name in COLUMNS if name not in places and not (sided and name in _SIDES)],
    )


def _no_header(line: int, fault: str) -> FecError:
    return FecError(
        Finding(
            (line,),
            f"not the header of an FEC: {fault} (expected JournalCode, JournalLib, EcritureNum, "
            "EcritureDate and so on, between tabs, vertical bars or semicolons)",
        )
    )


def _folded(name: str) -> str:
    return _INSIGNIFICANT.sub("", unicodedata.normalize("NFKD", name).casefold())
