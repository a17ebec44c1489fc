"""What stands in the books: every entry that was booked, found quickly, kept small.

Lines are kept as compressed JSON text, because 100,000 entries as objects would take a gigabyte.
"""

import datetime as dt
import itertools
import json
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from simulator import money
from simulator.answers import encoded
from simulator.attachments import Fetched
from simulator.filters import Condition, Operator, all_hold
from simulator.payload import Line

# Found without opening the lines.
_OF_ENTRY = frozenset({"journalCode", "refPiece", "datePiece", "ecritureOrigine"})


def packed(lines: Sequence[Line]) -> bytes:
    return zlib.compress(encoded(lines), 1)


@dataclass(frozen=True, slots=True)
class Entry:
    """Lines of one import with the same journal, date, piece and origin.

    `origin` is as sent, `booked_origin` what Loop kept of it. `booked` holds the lines where they
    differ from those sent. An entry without `request_id` is an accountant's own. `fetched` grows by
    what its links led to, one by one.
    """

    serial: int
    domain: str
    folder: str
    journal: str
    date: str
    piece_ref: str | None
    origin: str | None
    booked_origin: str | None
    request_id: str | None
    booked_at: dt.datetime
    visible_at: dt.datetime
    sent: bytes
    booked: bytes | None = None
    fetched: Sequence[Fetched] = ()

    def lines(self) -> list[Line]:
        """The lines as they stand in the books; amounts are floats."""
        found: list[Line] = json.loads(zlib.decompress(self.booked or self.sent))
        return found

    def head(self) -> dict[str, Any]:
        """What a filter may ask without opening the lines."""
        return {
            "journalCode": self.journal,
            "refPiece": self.piece_ref,
            "datePiece": self.date,
            "ecritureOrigine": self.booked_origin,
        }

    def rows(self) -> Iterator[dict[str, Any]]:
        """The lines as EcritureComptable gives them.

        The fields of that answer are not known: those of its filter have the filter's names, the
        rest follows them (assumption; reference: Loop API 3.6).
        """
        head = self.head()
        for number, line in enumerate(self.lines()):
            yield {
                "objectId": f"{self.serial:08x}-0000-4000-8000-{number:012x}",
                "revisionId": f"0x{self.serial:016X}",
                **head,
                "compteNumero": line.get("compte"),
                "tiersCode": line.get("tiers"),
                "libelle": line.get("libelle"),
                "reference": line.get("reference"),
                "debit": (line.get("debit") or {}).get("amount", 0),
                "credit": (line.get("credit") or {}).get("amount", 0),
                "codeLettrage": line.get("codeLettrage"),
            }

    def as_json(self) -> bytes:
        """JSON text, with the lines as they were sent and, where they differ, as booked."""
        head = {
            "domain": self.domain,
            "folder": self.folder,
            "journal": self.journal,
            "date": self.date,
            "piece_ref": self.piece_ref,
            "origin": self.origin,
            "booked_origin": self.booked_origin,
            "request_id": self.request_id,
            "booked_at": self.booked_at.isoformat(),
            "attachments": [one.as_json() for one in [*self.fetched]],
        }
        booked = b"null" if self.booked is None else zlib.decompress(self.booked)
        lines = zlib.decompress(self.sent)
        return encoded(head)[:-1] + b',"lines":' + lines + b',"booked_lines":' + booked + b"}"


@dataclass(slots=True)
class Totals:
    """Debit and credit in cents."""

    entries: int = 0
    lines: int = 0
    debit: int = 0
    credit: int = 0

    def add(self, other: "Totals") -> None:
        self.entries += other.entries
        self.lines += other.lines
        self.debit += other.debit
        self.credit += other.credit

    def as_json(self) -> dict[str, Any]:
        return {
            "entries": self.entries,
            "lines": self.lines,
            "debit": money.text(self.debit),
            "credit": money.text(self.credit),
        }


@dataclass(slots=True)
class _Book:
    """One folder's entries with two ways to find them; totals per journal."""

    entries: list[Entry] = field(default_factory=list)
    by_origin: dict[str | None, list[Entry]] = field(default_factory=dict)
    by_piece: dict[str | None, list[Entry]] = field(default_factory=dict)
    totals: defaultdict[str, Totals] = field(default_factory=lambda: defaultdict(Totals))


class Ledger:
    def __init__(self) -> None:
        # By domain and folder.
        self._books: defaultdict[tuple[str, str], _Book] = defaultdict(_Book)
        self._entries: list[Entry] = []

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, entry: Entry, lines: int, debit: int, credit: int) -> None:
        """Book an entry with its number of lines and its sums in cents."""
        book = self._books[entry.domain, entry.folder]
        self._entries.append(entry)
        book.entries.append(entry)
        book.by_origin.setdefault(entry.booked_origin, []).append(entry)
        book.by_piece.setdefault(entry.piece_ref, []).append(entry)
        book.totals[entry.journal].add(Totals(1, lines, debit, credit))

    def entries(self, folder: str | None = None, domain: str | None = None) -> Sequence[Entry]:
        """In the order of booking."""
        if domain is None and folder is None:
            return self._entries
        books = [book.entries for _, book in self._of(domain, folder)]
        if len(books) == 1:
            return books[0]
        return sorted(itertools.chain(*books), key=lambda entry: entry.serial)

    def _of(self, domain: str | None, folder: str | None = None) -> Iterator[tuple[str, _Book]]:
        """Books by their folders."""
        for (of_domain, of_folder), book in self._books.items():
            if domain in {None, of_domain} and folder in {None, of_folder}:
                yield of_folder, book

    def rows(
        self, domain: str, folder: str, conditions: Sequence[Condition], now: dt.datetime
    ) -> Iterator[dict[str, Any]]:
        """The visible lines that may meet the conditions; those on lines are still to be asked."""
        heads = [condition for condition in conditions if condition.name in _OF_ENTRY]
        for entry in self._candidates(domain, folder, heads):
            if entry.visible_at <= now and all_hold(heads, entry.head()):
                yield from entry.rows()

    def _candidates(
        self, domain: str, folder: str, conditions: Iterable[Condition]
    ) -> Iterable[Entry]:
        if (domain, folder) not in self._books:
            return ()
        book = self._books[domain, folder]
        indexes = {"ecritureOrigine": book.by_origin, "refPiece": book.by_piece}
        for condition in conditions:
            equal = condition.operator in {Operator.EQUAL, Operator.STRICT}
            if equal and condition.name in indexes:
                return indexes[condition.name].get(condition.value, ())
        return book.entries

    def totals(self, domain: str | None = None) -> dict[str, Any]:
        """Sums over all, per folder code and per journal, and how many origins are there twice."""
        overall = Totals()
        folders: defaultdict[str, defaultdict[str, Totals]]
        folders = defaultdict(lambda: defaultdict(Totals))
        for code, book in self._of(domain):
            for name, sums in book.totals.items():
                folders[code][name].add(sums)
                overall.add(sums)
        entries = self.entries(domain=domain)
        origins = Counter(entry.origin for entry in entries if entry.origin is not None)
        twice = sum(times > 1 for times in origins.values())
        return {
            **overall.as_json(),
            "origins_booked_more_than_once": twice,
            "folders": {code: _folder_json(folders[code]) for code in sorted(folders)},
        }


def _folder_json(journals: Mapping[str, Totals]) -> dict[str, Any]:
    total = Totals()
    for sums in journals.values():
        total.add(sums)
    return {
        **total.as_json(),
        "journals": {name: sums.as_json() for name, sums in sorted(journals.items())},
    }
