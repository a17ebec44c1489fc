"""The entries that every contender is given: the same ones in the same order, in every run."""

import datetime as dt
import random
import uuid
from dataclasses import dataclass
from typing import Any

from passerelle.domain.mapping import origin

Json = dict[str, Any]

SECRET = "secret"  # noqa: S105 the simulator lets any key in
SUBSCRIPTION = "subscription"

WARM_UP = 50
"""Entries sent and waited for before the clock starts."""

_NAMESPACE = uuid.UUID("3a5cf1d2-6f0e-5b0a-9d53-5f1f4f9f6b77")
_FIRST_DAY = dt.date(2026, 1, 5)
_EXPENSES = ("606400", "613200", "615500", "624100", "625100", "626000")
_SUPPLIER = "401000"
_JOURNAL = {"code": "ACH", "label": "Achats"}
_FEWEST_LINES, _MOST_LINES = 2, 6
_SUPPLIERS = 40

LISTS: Json = {
    "accounts": [{"code": code} for code in (*_EXPENSES, _SUPPLIER)],
    "journals": [_JOURNAL],
}
"""What a folder has in Loop, as the simulator is told it: whatever these entries use."""


def api_key(firm: str) -> str:
    return f"benchmark-{firm}"


@dataclass(frozen=True, slots=True)
class Load:
    """How many entries, over how many folders, of how many firms."""

    entries: int
    folders: int
    firms: int

    def places(self) -> list[tuple[str, str]]:
        """Firm and folder of each folder; the folders are dealt out to the firms in turn."""
        return [
            (f"FIRM{number % self.firms:03}", f"FOLDER{number:04}")
            for number in range(self.folders)
        ]

    def events(self, series: str, count: int) -> list[Json]:
        """So many events, dealt out to the folders in turn; a `series` has entries of its own."""
        chance = random.Random(series)
        places = self.places()
        return [
            _event(chance, f"{series}-{number:07}", *places[number % len(places)])
            for number in range(count)
        ]


def origin_of(event: Json) -> str:
    """The `ecritureOrigine` under which the entry stands in the simulator's books."""
    entry = event["entry"]
    return str(origin(event["firm"], event["folder"], entry["id"], entry["revision"]))


def _event(chance: random.Random, name: str, firm: str, folder: str) -> Json:
    day = (_FIRST_DAY + dt.timedelta(days=chance.randrange(300))).isoformat()
    return {
        "event_id": str(uuid.uuid5(_NAMESPACE, f"{firm}/{folder}/{name}")),
        "type": "entry.validated",
        "schema_version": 1,
        "occurred_at": "2026-11-20T16:42:07+01:00",
        "firm": firm,
        "folder": folder,
        "entry": {
            "id": name,
            "revision": 1,
            "kind": "purchase",
            "journal": _JOURNAL,
            "date": day,
            "piece_ref": f"FA-{name}",
            "document_date": day,
            "attachment": {"url": f"https://files.example.com/d/{name}.pdf?sig=abc"},
            "lines": _lines(chance, name),
        },
    }


def _lines(chance: random.Random, name: str) -> list[Json]:
    """Expenses and the supplier's line that balances them."""
    supplier = chance.randrange(_SUPPLIERS)
    text = f"Facture FA-{name}"
    if supplier % 4 == 0:
        # Longer than Loop's 35 characters, as some are in life.
        text = f"{text}, fournisseur {supplier:02}, selon contrat"
    cents = [
        chance.randrange(100, 500_000)
        for _ in range(chance.randint(_FEWEST_LINES, _MOST_LINES) - 1)
    ]
    expenses = [
        _line(account, text, debit=amount)
        for account, amount in zip(chance.sample(_EXPENSES, len(cents)), cents, strict=True)
    ]
    auxiliary = {"code": f"F{supplier:05}", "label": f"Fournisseur {supplier:02}"}
    return [*expenses, _line(_SUPPLIER, text, credit=sum(cents)) | {"auxiliary": auxiliary}]


def _line(account: str, text: str, *, debit: int = 0, credit: int = 0) -> Json:
    return {
        "account": account,
        "description": text,
        "debit": f"{debit // 100}.{debit % 100:02}",
        "credit": f"{credit // 100}.{credit % 100:02}",
    }
