"""FEC files to show and to test with: invented entries, written as packages write them.

Equal arguments give equal bytes. `Dialect` holds what packages do differently from one another;
its defaults are what the law says.
"""

import datetime as dt
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from passerelle.fec.layout import COLUMNS

_SUPPLIERS = ("Papeterie Générale du Sud-Ouest", "Garage de l'Écluse", "SFR", "Œuvres & Bois SARL")
_CUSTOMERS = ("Mairie de Nîmes", "Boulangerie Noël", "L'Haÿ Traiteur", "Coopérative du Midi")
_CHARGES = (("606400", "Fournitures administratives"), ("616000", "Primes d'assurance"))
_LAST_DAY_OF_YEAR = 365


@dataclass(frozen=True, slots=True)
class SampleLine:
    """Amounts in cents; texts as written."""

    account: str
    account_label: str
    description: str
    debit: int = 0
    credit: int = 0
    auxiliary: str = ""
    auxiliary_label: str = ""
    lettering: str = ""


@dataclass(frozen=True, slots=True)
class SampleEntry:
    journal: str
    journal_label: str
    number: str
    date: dt.date
    piece_ref: str
    piece_date: dt.date | None
    validated: dt.date | None
    lines: tuple[SampleLine, ...]


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a package writes.

    `columns` are those of the header, in their order; one that is not regulated holds `extra`.
    `pad` widens each value by blanks on either side. `date` is for `strftime`. `sides`, where
    given, are the words for debit and credit of a Montant. `zero` is the amount that moves nothing.
    """

    columns: Sequence[str] = COLUMNS
    separator: str = "\t"
    encoding: str = "utf-8"
    line_end: str = "\n"
    trailing_in_header: bool = False
    trailing_in_lines: bool = False
    pad: int = 0
    date: str = "%Y%m%d"
    decimal_mark: str = ","
    amount_width: int = 0
    thousands: str = ""
    zero: str | None = None
    sides: tuple[str, str] | None = None
    extra: str = ""


LEGAL = Dialect()


def sample_entries(seed: int, count: int, *, year: int = 2025) -> Iterator[SampleEntry]:
    """Balanced entries over a year, in five journals, numbered through each journal."""
    chance = random.Random(seed)  # noqa: S311 the same every time, no secret
    first = dt.date(year, 1, 1)
    days = sorted(chance.randrange(_LAST_DAY_OF_YEAR) for _ in range(count))
    numbers: dict[str, int] = defaultdict(int)
    for day in days:
        journal, label, lines = _some_entry(chance)
        numbers[journal] += 1
        date = first + dt.timedelta(days=day)
        yield SampleEntry(
            journal=journal,
            journal_label=label,
            number=str(numbers[journal]),
            date=date,
            piece_ref=f"{journal}-{numbers[journal]:06}",
            piece_date=date,
            validated=dt.date(year + 1, 3, 31),
            lines=lines,
        )


def fec_lines(entries: Iterable[SampleEntry], dialect: Dialect = LEGAL) -> Iterator[bytes]:
    """The header and the lines of a file, each whole with its line end."""
    header = list(dialect.columns)
    yield _written(header, dialect, trailing=dialect.trailing_in_header)
    for entry in entries:
        for line in entry.lines:
            values = _values(entry, line, dialect)
            fields = [values.get(name, dialect.extra) for name in dialect.columns]
            yield _written(fields, dialect, trailing=dialect.trailing_in_lines)


def fec_file(entries: Iterable[SampleEntry], dialect: Dialect = LEGAL) -> bytes:
    """The file."""
    return b"".join(fec_lines(entries, dialect))


def _written(fields: list[str], dialect: Dialect, *, trailing: bool) -> bytes:
    blanks = " " * dialect.pad
    row = dialect.separator.join([f"{blanks}{one}{blanks}" for one in fields])
    end = f"{dialect.separator * trailing}{dialect.line_end}"
    return f"{row}{end}".encode(dialect.encoding)


def _values(entry: SampleEntry, line: SampleLine, dialect: Dialect) -> dict[str, str]:
    def date(value: dt.date | None) -> str:
        return "" if value is None else value.strftime(dialect.date)

    values = {
        "JournalCode": entry.journal,
        "JournalLib": entry.journal_label,
        "EcritureNum": entry.number,
        "EcritureDate": date(entry.date),
        "CompteNum": line.account,
        "CompteLib": line.account_label,
        "CompAuxNum": line.auxiliary,
        "CompAuxLib": line.auxiliary_label,
        "PieceRef": entry.piece_ref,
        "PieceDate": date(entry.piece_date),
        "EcritureLib": line.description,
        "Debit": _amount(line.debit, dialect),
        "Credit": _amount(line.credit, dialect),
        "EcritureLet": line.lettering,
        "DateLet": date(entry.validated) if line.lettering else "",
        "ValidDate": date(entry.validated),
        "Montantdevise": "",
        "Idevise": "",
    }
    if dialect.sides is not None:
        values["Montant"] = _amount(line.debit or line.credit, dialect)
        values["Sens"] = dialect.sides[line.debit == 0]
    return values


def _amount(cents: int, dialect: Dialect) -> str:
    if not cents and dialect.zero is not None:
        return dialect.zero
    whole = f"{abs(cents) // 100:,}".replace(",", dialect.thousands)
    text = f"{whole}{dialect.decimal_mark}{abs(cents) % 100:02}".rjust(dialect.amount_width, "0")
    return f"-{text}" if cents < 0 else text


def _some_entry(chance: random.Random) -> tuple[str, str, tuple[SampleLine, ...]]:
    return chance.choices((_purchase, _sale, _bank, _cash, _payroll), (30, 30, 30, 5, 5))[0](chance)


def _purchase(chance: random.Random) -> tuple[str, str, tuple[SampleLine, ...]]:
    index = chance.randrange(len(_SUPPLIERS))
    name, net = _SUPPLIERS[index], chance.randrange(1, 500_000)
    vat = net // 5 or 1
    account, label = chance.choice(_CHARGES)
    text = f"{name} fact. {chance.randrange(10_000)}"
    return (
        "ACH",
        "Achats",
        (
            SampleLine(account, label, text, debit=net),
            SampleLine("445660", "TVA déductible", text, debit=vat),
            SampleLine(
                "401000",
                "Fournisseurs",
                text,
                credit=net + vat,
                auxiliary=f"F{index:05}",
                auxiliary_label=name,
                lettering=chance.choice(("", "AAB")),
            ),
        ),
    )


def _sale(chance: random.Random) -> tuple[str, str, tuple[SampleLine, ...]]:
    index = chance.randrange(len(_CUSTOMERS))
    name, net = _CUSTOMERS[index], chance.randrange(1, 900_000)
    vat = net // 10 or 1
    customer = SampleLine(
        "411000",
        "Clients",
        name,
        debit=net + vat,
        auxiliary=f"C{index:05}",
        auxiliary_label=name,
        lettering=chance.choice(("", "AAC")),
    )
    return (
        "VEN",
        "Ventes",
        (
            customer,
            SampleLine("706000", "Prestations de services", name, credit=net),
            SampleLine("445710", "TVA collectée", name, credit=vat),
        ),
    )


def _bank(chance: random.Random) -> tuple[str, str, tuple[SampleLine, ...]]:
    index = chance.randrange(len(_CUSTOMERS))
    name, paid = _CUSTOMERS[index], chance.randrange(1, 900_000)
    return (
        "CRC",
        "Crédit Agricole",
        (
            SampleLine("512000", "Banque", f"VIR {name}", debit=paid),
            SampleLine(
                "411000",
                "Clients",
                f"VIR {name}",
                credit=paid,
                auxiliary=f"C{index:05}",
                auxiliary_label=name,
                lettering="AAC",
            ),
        ),
    )


def _cash(chance: random.Random) -> tuple[str, str, tuple[SampleLine, ...]]:
    taken = chance.randrange(1, 20_000)
    return (
        "CAI",
        "Caisse",
        (
            SampleLine("530000", "Caisse", "Recettes du jour", debit=taken),
            SampleLine("707000", "Ventes de marchandises", "Recettes du jour", credit=taken),
        ),
    )


def _payroll(chance: random.Random) -> tuple[str, str, tuple[SampleLine, ...]]:
    shares = [chance.randrange(1, 300_000) for _ in range(chance.randrange(2, 8))]
    return (
        "OD",
        "Opérations diverses",
        (
            SampleLine("641100", "Salaires, appointements", "Paie du mois", debit=sum(shares)),
            *(SampleLine("421000", "Personnel", "Paie du mois", credit=share) for share in shares),
        ),
    )
