"""The records of the lists, in Loop's words. Reference: Loop API 3.1 to 3.5.

Fields whose meaning was not seen hold a neutral value. A catalogue that was not given accepts any
code: it lists what imports have brought, and has whatever code it is asked for by name.
"""

import hashlib
import json
import uuid
from collections.abc import Callable, Iterable
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


def records(
    route: Route, folder: Folder, named: Iterable[str] = ()
) -> tuple[Iterable[Any], Callable[[Any], dict[str, Any]]]:
    """The records of a list route, in the order in which they came to be, and how one reads.

    `named`: codes that the request asks for.
    """
    found, fields = _list(route, folder)
    match route:
        case Route.ACCOUNTS if not folder.accounts.given:
            found = {code: Account(code) for code in named} | found
        case Route.JOURNALS if not folder.journals.given:
            found = {code: Journal(code) for code in named} | found

    def shown(record: Any) -> dict[str, Any]:
        return _identified(fields(record), folder.domain, folder.code, route, record.code)

    return found.values(), shown


def dossier(folder: Folder) -> dict[str, Any]:
    """A folder in the list of those that a key reaches; the fields are an assumption."""
    fields = {"codeDossier": folder.code, "libelle": folder.name}
    return _identified(fields, folder.domain, folder.code)


def _identified(fields: dict[str, Any], *names: str) -> dict[str, Any]:
    """Another content is another revision; the names are for ever the same object."""
    content = hashlib.blake2b(repr(fields).encode(), digest_size=8).hexdigest()
    return {
        "objectId": str(uuid.uuid5(_NAMESPACE, json.dumps(names))),
        "revisionId": f"0x{content.upper()}",
        **fields,
    }


def _list(route: Route, folder: Folder) -> tuple[dict[str, Any], Callable[[Any], dict[str, Any]]]:
    match route:
        case Route.ACCOUNTS:
            return folder.accounts.records, _account
        case Route.JOURNALS:
            return folder.journals.records, _journal
        case Route.SECTIONS:
            return folder.sections.records, _section
        case Route.ESTABLISHMENTS:
            return folder.establishments.records, _establishment
        case _:
            return folder.third_parties.of_kind[_KINDS[route]], _third_party


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
        "actif": not party.closed,
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
