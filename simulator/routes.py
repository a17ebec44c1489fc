"""Loop's routes. Reference: Loop API 3.1 to 3.10."""

import enum


class Route(enum.StrEnum):
    """The value is the path as Loop's pages spell it.

    `dossier` is an assumption: that a key's folders can be listed is known, the route and its
    fields are not (reference: Loop API 3.12 and 3.13).
    """

    ACCOUNTS = "compte"
    JOURNALS = "journal"
    SECTIONS = "section"
    CUSTOMERS = "tiersClient"
    SUPPLIERS = "tiersFournisseur"
    EMPLOYEES = "tiersSalarie"
    OTHERS = "tiersDivers"
    ESTABLISHMENTS = "etablissementComplet"
    FOLDERS = "dossier"
    ENTRIES = "EcritureComptable"
    IMPORT_JSON = "importJson"
    IMPORT_FEC = "importFEC"
    IMPORT_CUSTOM = "importPerso"
    DEPOSIT = "getFileUrlDeposit"
    STATUS = "getImportStatus"


LISTS = frozenset(
    {
        Route.ACCOUNTS,
        Route.JOURNALS,
        Route.SECTIONS,
        Route.CUSTOMERS,
        Route.SUPPLIERS,
        Route.EMPLOYEES,
        Route.OTHERS,
        Route.ESTABLISHMENTS,
        Route.FOLDERS,
    }
)
IMPORTS = frozenset({Route.IMPORT_JSON, Route.IMPORT_FEC, Route.IMPORT_CUSTOM})

_PREFIX = "/loop-api-publiques"
_BY_NAME = {route.lower(): route for route in Route}


def named(name: str) -> Route | None:
    """The route of that name, whatever its case (the pages mix them; reference: Loop API 2)."""
    return _BY_NAME.get(name.lower())


def at(path: str) -> Route | None:
    """The route at a path, with or without the public prefix."""
    lowered = path.lower()
    if lowered.startswith(_PREFIX + "/"):
        lowered = lowered[len(_PREFIX) :]
    return _BY_NAME.get(lowered[1:]) if lowered.startswith("/") else None
