"""The records of a folder's lists, in Loop's words. Reference: Loop API 3.1 to 3.5.

Fields whose meaning was not seen hold a neutral value. A catalogue that was not given lists what
imports have brought.
"""

import uuid
from collections.abc import Iterable
from typing import Any

from simulator.folders import (
    Account,
    Establishment,
    Folder,
    Journal,
    Kind,
    Section,
    ThirdParty,
    kind_of,
)
from simulator.routes import Route

_NAMESPACE = uuid.UUID("2d1f6b0c-5b0e-4c57-9d5e-6a3b8b1f9c11")
_NO_REFERENCE: dict[str, Any] = {"objectId": None, "description": []}
_KINDS = {
    Route.CUSTOMERS: Kind.CUSTOMER,
    Route.SUPPLIERS: Kind.SUPPLIER,
    Route.EMPLOYEES: Kind.EMPLOYEE,
    Route.OTHERS: Kind.OTHER,
}
_CLASSES = "1234567"
_LEGAL_PERSON = 2


def records(route: Route, folder: Folder) -> Iterable[dict[str, Any]]:
    """The records of a list route, in the order in which they came to be."""
    for number, (name, fields) in enumerate(_fields(route, folder), start=1):
        key = f"{folder.code}/{route}/{name}"
        yield {
            "objectId": str(uuid.uuid5(_NAMESPACE, key)),
            "revisionId": f"0x{number:016X}",
            **fields,
        }


def _fields(route: Route, folder: Folder) -> Iterable[tuple[str, dict[str, Any]]]:
    match route:
        case Route.ACCOUNTS:
            return ((a.code, _account(a)) for a in folder.accounts.records.values())
        case Route.JOURNALS:
            return ((j.code, _journal(j)) for j in folder.journals.records.values())
        case Route.SECTIONS:
            return ((s.code, _section(s)) for s in folder.sections.records.values())
        case Route.ESTABLISHMENTS:
            return ((e.code, _establishment(e)) for e in folder.establishments.records.values())
        case _:
            kind = _KINDS[route]
            parties = folder.third_parties.records.values()
            return ((t.code, _third_party(t)) for t in parties if t.kind is kind)


def _account(account: Account) -> dict[str, Any]:
    collective = kind_of(account.code) is not Kind.OTHER
    return {
        "description": [account.code, account.label],
        "numero": account.code,
        "libelle": account.label,
        "type": int(account.code[0]) if account.code[:1] in _CLASSES else 1,
        "collectif": collective,
        "lettrable": collective,
        "pointable": account.code.startswith("512"),
        "centralisable": False,
        "analytique": False,
        "ferme": account.closed,
        "compteContrepartie": _NO_REFERENCE,
        "compteBanque": None,
        "tva": None,
    }


def _journal(journal: Journal) -> dict[str, Any]:
    return {
        "description": [journal.code, journal.label],
        "code": journal.code,
        "libelle": journal.label,
        "type": journal.type,
        "compteContrepartie": _NO_REFERENCE,
        "typeContrepartie": 1,
        "repriseDateOp": False,
        "bordereau": False,
        "ferme": journal.closed,
        "accesClient": False,
        "saisieLibelle": 1,
    }


def _section(section: Section) -> dict[str, Any]:
    return {
        "description": f"{section.code} {section.label}".strip(),
        "code": section.code,
        "ferme": section.closed,
        "axe": {"objectId": None, "description": section.axis},
    }


def _third_party(party: ThirdParty) -> dict[str, Any]:
    return {
        "code": party.code,
        "type": int(party.kind),
        "nature": _LEGAL_PERSON,
        "prenom": None,
        "nom": None,
        "raisonSociale": party.name,
        "nomUsuel": party.name,
        "lettrable": True,
        "compteContrepartie": _NO_REFERENCE,
        "SIRET": None,
        "telephone": None,
        "fax": None,
        "email": None,
        "siteWeb": None,
        "adr": {},
        "rib": [],
        "actif": True,
        "validation": 0,
        "soumisTva": True,
    }


def _establishment(establishment: Establishment) -> dict[str, Any]:
    return {
        "type": 1,
        "nature": _LEGAL_PERSON,
        "prenom": None,
        "nom": None,
        "raisonSociale": establishment.name,
        "SIRET": establishment.code,
    }
