"""Import requests and reads that the tests of the simulator's faults share."""

from typing import Any

import requests

from support.simulator import SimulatorHandle, until

ORIGIN = "24d61dbb-674d-5d13-a9e7-91b519531d88"


def entry(piece: str) -> list[dict[str, Any]]:
    common = {
        "date": "2026-01-15T00:00:00.000Z",
        "journal": "ACH",
        "refPiece": piece,
        "ecritureOrigine": ORIGIN,
    }
    return [
        {**common, "compte": "601", "debit": {"amount": 100.1}},
        {**common, "compte": "401", "tiers": "DUPONT", "credit": {"amount": 100.1}},
    ]


def body(entries: int = 1, folder: str = "D") -> dict[str, Any]:
    lines = [line for number in range(entries) for line in entry(f"F{number}")]
    return {
        "codeIbs": folder,
        "data": {"options": {"multiPeriode": True}, "ecritures": lines},
    }


def post(loop: SimulatorHandle, **options: Any) -> requests.Response:
    return loop.call("POST", "importJson", json=body(**options))


def landed(loop: SimulatorHandle) -> int:
    """Entries in the books once no import is under way."""
    until(loop.imports, lambda found: all(imported["status"] in {3, 4} for imported in found))
    return len(loop.ledger())


def found(loop: SimulatorHandle, text: str = "codeLettrage==null", **query: Any) -> Any:
    return loop.call(
        "GET", "EcritureComptable", params={"codeDossier": "D", "filter": text} | query
    ).json()
