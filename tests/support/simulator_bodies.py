"""A literal import request, written from the reference, folders for it, and changes to it."""

import copy
import json
from typing import Any

SIRET = "73282932000074"
SAME_SIREN = "73282932000009"
OTHER_SIREN = "44306184100047"
GIVEN = {
    "open_from": "2026-01-01",
    "open_to": "2026-12-31",
    "accounts": [
        {"code": "60100000"},
        {"code": "40100000"},
        {"code": "47100000", "closed": True},
    ],
    "journals": [{"code": "ACH"}, {"code": "CLO", "closed": True}],
    "third_parties": [{"code": "DUPONT", "kind": "supplier"}],
    "establishments": [{"code": SIRET}, {"code": OTHER_SIREN}],
}
SCENARIO = {
    "import_ms": 0,
    "strict_folders": True,
    "folders": [
        {"code": "CEGID003"},
        {"code": "GIVEN", **GIVEN},
        {"code": "EN", "access": "refused_at_post", "language": "en", "collaborator": "C7"},
    ],
}
ISO = "2026-01-31T00:00:00.000Z"
LINES = json.loads("""[
  {"date": "2026-01-15T00:00:00.000Z",
   "debit": {"amount": 100.10, "currency": "EUR", "currencyAmount": 100.10, "currencyRate": "1.0"},
   "credit": {"amount": 0, "currency": "EUR", "currencyAmount": 0, "currencyRate": "1.0"},
   "journal": "ACH", "compte": "60100000", "libelle": "Papier",
   "reference": "F1", "refPiece": "F1", "ecritureOrigine": "24d61dbb-674d-5d13-a9e7-91b519531d88"},
  {"date": "2026-01-15T00:00:00.000Z",
   "debit": {"amount": 0, "currency": "EUR", "currencyAmount": 0, "currencyRate": "1.0"},
   "credit": {"amount": 100.10, "currency": "EUR", "currencyAmount": 100.10, "currencyRate": "1.0"},
   "journal": "ACH", "compte": "40100000", "libelle": "Papier", "tiers": "DUPONT",
   "reference": "F1", "refPiece": "F1", "ecritureOrigine": "24d61dbb-674d-5d13-a9e7-91b519531d88"}
]""")


def body(
    *changes: dict[str, Any],
    folder: str = "GIVEN",
    options: dict[str, Any] | None = None,
    context: Any = None,
) -> dict[str, Any]:
    """The request above with the n-th change laid over the n-th line."""
    lines = copy.deepcopy(LINES)
    for line, change in zip(lines, changes, strict=False):
        line.update(change)
    data = {"options": {"multiPeriode": True} | (options or {}), "ecritures": lines}
    if context is not None:
        data["contexte"] = context
    return {"codeIbs": folder, "data": data}
