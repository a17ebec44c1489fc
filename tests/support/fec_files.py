"""Well-formed FEC files from a seed, with what is in them."""

import random
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal

HEADER = (
    *("JournalCode", "JournalLib", "EcritureNum", "EcritureDate", "CompteNum", "CompteLib"),
    *("CompAuxNum", "CompAuxLib", "PieceRef", "PieceDate", "EcritureLib", "Debit", "Credit"),
    *("EcritureLet", "DateLet", "ValidDate", "Montantdevise", "Idevise"),
)

_SUPPLIERS = ("Papeterie Générale du Sud-Ouest", "Garage de l'Écluse", "SFR", "Œuvres & Bois SARL")
_CUSTOMERS = ("Mairie de Nîmes", "Boulangerie Noël", "L'Haÿ Traiteur", "Coopérative du Midi")
_CHARGES = (("606400", "Fournitures administratives"), ("616000", "Primes d'assurance"))


@dataclass(frozen=True, slots=True)
class FecLine:
    account: str
    account_label: str
    description: str
    debit: int = 0  # cents
    credit: int = 0
    auxiliary: str = ""
    auxiliary_label: str = ""
    lettering: str = ""


@dataclass(frozen=True, slots=True)
class FecEntry:
    journal: str
    journal_label: str
    number: str
    date: str  # YYYYMMDD, as all dates here
    piece_ref: str
    piece_date: str
    validated: str
    lines: tuple[FecLine, ...]


@dataclass(frozen=True, slots=True)
class FecFile:
    content: bytes
    entries: tuple[FecEntry, ...]

    @property
    def lines(self) -> int:
        return sum(len(entry.lines) for entry in self.entries)

    def totals(self) -> dict[str, tuple[int, int, Decimal, Decimal]]:
        """Entries, lines, debit and credit by journal code."""
        sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        for entry in self.entries:
            journal = sums[entry.journal]
            journal[0] += 1
            journal[1] += len(entry.lines)
            journal[2] += sum(line.debit for line in entry.lines)
            journal[3] += sum(line.credit for line in entry.lines)
        return {
            code: (entries, lines, Decimal(debit).scaleb(-2), Decimal(credit).scaleb(-2))
            for code, (entries, lines, debit, credit) in sums.items()
        }


def fec_file(
    seed: int,
    entries: int,
    *,
    year: int = 2025,
    separator: str = "\t",
    line_end: str = "\n",
    bom: bool = False,
    interleaved: bool = False,
) -> FecFile:
    """`entries` balanced entries over a year, in five journals, numbered through each journal.

    The same arguments give the same bytes. With `interleaved`, the lines of neighbouring entries
    are mixed, each entry's own lines still in their order.
    """
    chance = random.Random(seed)
    days = sorted(chance.randrange(360) for _ in range(entries))
    numbers: dict[str, int] = defaultdict(int)
    made: list[FecEntry] = []
    for day in days:
        journal, label, lines = _some_entry(chance)
        numbers[journal] += 1
        date = f"{year}{day // 30 + 1:02}{min(day % 30 + 1, 28):02}"
        made.append(
            FecEntry(
                journal=journal,
                journal_label=label,
                number=str(numbers[journal]),
                date=date,
                piece_ref=f"{journal}-{numbers[journal]:06}",
                piece_date=date,
                validated=f"{year + 1}0331",
                lines=lines,
            )
        )
    return written(
        made,
        separator=separator,
        line_end=line_end,
        bom=bom,
        mixed_by=chance if interleaved else None,
    )


def written(
    entries: list[FecEntry],
    *,
    separator: str = "\t",
    line_end: str = "\n",
    bom: bool = False,
    mixed_by: random.Random | None = None,
) -> FecFile:
    """The entries as a file, each entry's lines together or mixed with its neighbours'."""
    if mixed_by is None:
        pairs = [(entry, line) for entry in entries for line in entry.lines]
    else:
        pairs = _mixed(entries, mixed_by)
    rows = [separator.join(HEADER), *(separator.join(_fields(*pair)) for pair in pairs), ""]
    text = line_end.join(rows)
    return FecFile(("\ufeff" * bom + text).encode(), tuple(entries))


def literal_file(*lines: str, separator: str = "|", line_end: str = "\n") -> bytes:
    """The header and these lines, each written with vertical bars."""
    text = "".join(line + line_end for line in ("|".join(HEADER), *lines))
    return text.replace("|", separator).encode()


def payroll_line(**columns: str) -> str:
    """A line of entry 9 in journal OD on 2025-11-30, debit 5,00, but for the columns given."""
    values = dict.fromkeys(HEADER, "") | {
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


def _mixed(entries: list[FecEntry], chance: random.Random) -> list[tuple[FecEntry, FecLine]]:
    pairs = []
    for start in range(0, len(entries), 5):
        queues = [(entry, list(entry.lines)) for entry in entries[start : start + 5]]
        while queues:
            entry, lines = chance.choice(queues)
            pairs.append((entry, lines.pop(0)))
            queues = [queue for queue in queues if queue[1]]
    return pairs


def _fields(entry: FecEntry, line: FecLine) -> tuple[str, ...]:
    return (
        entry.journal,
        entry.journal_label,
        entry.number,
        entry.date,
        line.account,
        line.account_label,
        line.auxiliary,
        line.auxiliary_label,
        entry.piece_ref,
        entry.piece_date,
        line.description,
        _amount(line.debit),
        _amount(line.credit),
        line.lettering,
        entry.validated if line.lettering else "",
        entry.validated,
        "",
        "",
    )


def _amount(cents: int) -> str:
    return f"{cents // 100},{cents % 100:02}"


def _some_entry(chance: random.Random) -> tuple[str, str, tuple[FecLine, ...]]:
    return chance.choices((_purchase, _sale, _bank, _cash, _payroll), (30, 30, 30, 5, 5))[0](chance)


def _purchase(chance: random.Random) -> tuple[str, str, tuple[FecLine, ...]]:
    index = chance.randrange(len(_SUPPLIERS))
    name, net = _SUPPLIERS[index], chance.randrange(1, 500_000)
    vat = net // 5 or 1
    account, label = chance.choice(_CHARGES)
    text = f"{name} fact. {chance.randrange(10_000)}"
    return (
        "ACH",
        "Achats",
        (
            FecLine(account, label, text, debit=net),
            FecLine("445660", "TVA déductible", text, debit=vat),
            FecLine(
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


def _sale(chance: random.Random) -> tuple[str, str, tuple[FecLine, ...]]:
    index = chance.randrange(len(_CUSTOMERS))
    name, net = _CUSTOMERS[index], chance.randrange(1, 900_000)
    vat = net // 10 or 1
    customer = FecLine(
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
            FecLine("706000", "Prestations de services", name, credit=net),
            FecLine("445710", "TVA collectée", name, credit=vat),
        ),
    )


def _bank(chance: random.Random) -> tuple[str, str, tuple[FecLine, ...]]:
    index = chance.randrange(len(_CUSTOMERS))
    name, paid = _CUSTOMERS[index], chance.randrange(1, 900_000)
    return (
        "CRC",
        "Crédit Agricole",
        (
            FecLine("512000", "Banque", f"VIR {name}", debit=paid),
            FecLine(
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


def _cash(chance: random.Random) -> tuple[str, str, tuple[FecLine, ...]]:
    taken = chance.randrange(1, 20_000)
    return (
        "CAI",
        "Caisse",
        (
            FecLine("530000", "Caisse", "Recettes du jour", debit=taken),
            FecLine("707000", "Ventes de marchandises", "Recettes du jour", credit=taken),
        ),
    )


def _payroll(chance: random.Random) -> tuple[str, str, tuple[FecLine, ...]]:
    shares = [chance.randrange(1, 300_000) for _ in range(chance.randrange(2, 8))]
    return (
        "OD",
        "Opérations diverses",
        (
            FecLine("641100", "Salaires, appointements", "Paie du mois", debit=sum(shares)),
            *(FecLine("421000", "Personnel", "Paie du mois", credit=share) for share in shares),
        ),
    )
