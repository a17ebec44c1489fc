"""Sample events for the demonstration: invented suppliers and customers, the same every time."""

import datetime as dt
import random
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

_NAMESPACE = uuid.UUID("0b0e6f0e-54c5-5d4b-8a43-0d6f6f0f8c11")
_VALIDATED = "2026-11-20T16:42:07+01:00"
_FIRST_DAY = dt.date(2026, 1, 5)

_SUPPLIERS = (
    ("FPAPETERIE", "Papeterie du Port"),
    ("FBOULANGERIECENTRALE", "Boulangerie Centrale et Pâtisserie Fine"),
    ("FTRANSPORT", "Transports Lémaire"),
    ("FELECTRICITEGENERALE", "Électricité Générale de l'Ouest réunie"),
    ("FGARAGE", "Garage Ménard"),
)
_CUSTOMERS = (
    ("CMAIRIE", "Mairie de Saint-Évrille"),
    ("CASSOCIATIONSPORTIVE", "Association sportive des Trois Rivières"),
    ("CHOTEL", "Hôtel du Parc"),
)
_EXPENSES = (
    ("606400", "Fournitures administratives"),
    ("613200", "Locations immobilières"),
    ("615500", "Entretien et réparations"),
    ("624100", "Transports sur achats"),
)
_VAT = Decimal("0.20")
_CENT = Decimal("0.01")

Json = dict[str, Any]


def sample_events(firm: str, folder: str, count: int) -> Iterator[Json]:
    """So many good events of all kinds; equal arguments give equal events."""
    chance = random.Random(f"{firm}/{folder}")  # noqa: S311 the same every time, no secret
    makers = (_purchase, _purchase, _sale, _expense_report, _bank)
    for number in range(1, count + 1):
        entry = makers[number % len(makers)](chance, number)
        day = _FIRST_DAY + dt.timedelta(days=chance.randrange(300))
        entry |= {
            "id": f"sample-{number:05}",
            "revision": 1,
            "date": day.isoformat(),
            "document_date": day.isoformat(),
        }
        yield {
            "event_id": str(uuid.uuid5(_NAMESPACE, f"{firm}/{folder}/{number}")),
            "type": "entry.validated",
            "schema_version": 1,
            "occurred_at": _VALIDATED,
            "firm": firm,
            "folder": folder,
            "entry": entry,
        }


def spoiled_events(firm: str, folder: str) -> list[object]:
    """Events that the door refuses, each for another reason."""
    good = list(sample_events(firm, folder, 5))
    for number, event in enumerate(good):
        event["event_id"] = str(uuid.uuid5(_NAMESPACE, f"spoiled/{number}"))
        event["entry"]["id"] = f"spoiled-{number}"
    good[0]["entry"]["date"] = "2026-02-30"
    good[1]["entry"]["lines"][0]["debit"] = 100.5
    good[2]["entry"]["lines"][-1]["credit"] = "0.01"
    good[3]["entry"]["piece"] = good[3]["entry"].pop("piece_ref")
    good[4]["occurred_at"] = "2026-11-20T16:42:07"
    return [*good, "not an event"]


def _line(account: str, description: str, debit: Decimal, credit: Decimal, **more: Any) -> Json:
    return {
        "account": account,
        "description": description,
        "debit": str(debit),
        "credit": str(credit),
        **more,
    }


def _amounts(chance: random.Random) -> tuple[Decimal, Decimal, Decimal]:
    net = Decimal(chance.randrange(500, 500_000)) / 100
    vat = (net * _VAT).quantize(_CENT)
    return net, vat, net + vat


_ZERO = Decimal("0.00")


def _purchase(chance: random.Random, number: int) -> Json:
    code, name = chance.choice(_SUPPLIERS)
    account, label = chance.choice(_EXPENSES)
    net, vat, gross = _amounts(chance)
    piece = f"FA-2026-{number:04}"
    text = f"{name} fact. {piece}"
    return {
        "kind": "purchase",
        "journal": {"code": "ACH", "label": "Achats"},
        "piece_ref": piece,
        "lines": [
            _line(account, text, net, _ZERO, account_label=label),
            _line("445660", "TVA déductible", vat, _ZERO),
            _line("401000", text, _ZERO, gross, auxiliary={"code": code, "label": name}),
        ],
    }


def _sale(chance: random.Random, number: int) -> Json:
    code, name = chance.choice(_CUSTOMERS)
    net, vat, gross = _amounts(chance)
    piece = f"VE-2026-{number:04}"
    text = f"{name} {piece}"
    return {
        "kind": "sale",
        "journal": {"code": "VEN", "label": "Ventes"},
        "piece_ref": piece,
        "lines": [
            _line("411000", text, gross, _ZERO, auxiliary={"code": code, "label": name}),
            _line("706000", text, _ZERO, net),
            _line("445710", "TVA collectée", _ZERO, vat),
        ],
    }


def _expense_report(chance: random.Random, number: int) -> Json:
    net, vat, gross = _amounts(chance)
    piece = f"NDF-{number:04}"
    return {
        "kind": "expense_report",
        "journal": {"code": "OD", "label": "Opérations diverses"},
        "piece_ref": piece,
        "lines": [
            _line("625100", f"Déplacement {piece}", net, _ZERO),
            _line("445660", "TVA déductible", vat, _ZERO),
            _line("421000", f"Note de frais {piece}", _ZERO, gross),
        ],
    }


def _bank(chance: random.Random, number: int) -> Json:
    code, name = chance.choice(_SUPPLIERS)
    _, _, gross = _amounts(chance)
    piece = f"VIR-{number:04}"
    auxiliary = {"code": code, "label": name}
    return {
        "kind": "bank",
        "journal": {"code": "BQ", "label": "Banque"},
        "piece_ref": piece,
        "lines": [
            _line("401000", f"Virement {name}", gross, _ZERO, auxiliary=auxiliary),
            _line("512000", f"Virement {name}", _ZERO, gross, payment_mode="transfer"),
        ],
    }
