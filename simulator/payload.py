"""The body of an import request, and what Loop refuses of it at once. Reference: Loop API 3.7."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from simulator.answers import RefusedError
from simulator.folders import Folder

# A line as it was sent: any JSON object.
Line: TypeAlias = dict[str, Any]

_TWO = 2
_SIRET = 14
_SIREN = 9
_LUHN_BASE = 10


@dataclass(frozen=True, slots=True)
class Payload:
    """Options that were left out have the default that is stated, or false (assumption).

    `failOnUnbalanced` left out is taken as true, which is what the reference advises to send.
    `comptesRules`, `defaultJournalId`, `defaultCompte`, `sortLines`, `newFolio`, `aNouveaux` and
    `createPieceRef` have no effect here.
    """

    lines: list[Line]
    fail_on_unbalanced: bool
    balance_auto: bool
    create_journals: bool
    create_accounts: bool
    create_third_parties: bool


def body(parsed: object) -> dict[str, Any]:
    """The body of any import request. Raises RefusedError: none, or no JSON object."""
    if not isinstance(parsed, dict):
        raise RefusedError("il n'y a pas de payload")
    return parsed


def folder_code(body: dict[str, Any]) -> str:
    """The folder of any import request. Raises RefusedError."""
    code = body.get("codeIbs")
    if not isinstance(code, str) or not code.strip():
        raise RefusedError("le codeIbs n'est pas renseigné")
    return code


def checked(body: dict[str, Any], folder: Folder) -> Payload:
    """The request, if Loop takes it into its queue.

    Raises:
        RefusedError: with a text that holds the fragment of the reference.
    """
    data = _object(body, "data")
    options = _object(data, "options")
    _check_context(data.get("contexte"), several_periods=options.get("multiPeriode") is True)
    lines = _lines(data.get("ecritures"))
    for number, line in enumerate(lines, start=1):
        _check_dates(line, number)
    _check_sirets(body.get("SIRET"), lines, folder)
    return Payload(
        lines=lines,
        fail_on_unbalanced=options.get("failOnUnbalanced") is not False,
        balance_auto=options.get("balanceAuto") is not False,
        create_journals=options.get("createNewJournaux") is True,
        create_accounts=options.get("createNewComptes") is True,
        create_third_parties=options.get("createNewTiers") is not False,
    )


def attachment(line: Line) -> str | None:
    """The link to a line's document; anything else there has no effect."""
    uri = _object(line, "fichier").get("uri")
    return uri if isinstance(uri, str) and uri else None


def has_attachment(body: dict[str, Any]) -> bool:
    """Whether a line of a request, checked or not, has a document."""
    lines = _object(body, "data").get("ecritures")
    return isinstance(lines, list) and any(
        attachment(line) is not None for line in lines if isinstance(line, dict)
    )


def check_file(body: dict[str, Any]) -> None:
    """One of URL and URI, for importFEC and importPerso. Reference: Loop API 3.8.

    Raises:
        RefusedError: neither, or both.
    """
    given = sum(bool(body.get(key)) for key in ("URL", "URI"))
    if given == 0:
        raise RefusedError("il faut une URL ou un chemin d'accès URI")
    if given > 1:
        raise RefusedError("Ambiguité : URL et URI sont données toutes les deux")


def _object(parent: dict[str, Any], key: str) -> dict[str, Any]:
    value = parent.get(key)
    return value if isinstance(value, dict) else {}


def _check_context(context: object, *, several_periods: bool) -> None:
    if not isinstance(context, dict):
        if several_periods and context is None:
            return
        raise RefusedError("le contexte est obligatoire sans multiPeriode")
    for key in ("from", "to"):
        _check_iso(context.get(key), f"la date {key} du contexte")


def _lines(lines: object) -> list[Line]:
    if lines is None or lines in ([], {}, ""):
        raise RefusedError("il n'y a pas d'écritures")
    if not isinstance(lines, list):
        raise RefusedError("les écritures ne forment pas de tableau")
    if len(lines) < _TWO:
        raise RefusedError("il faut au moins deux lignes d'écritures")
    for number, line in enumerate(lines, start=1):
        if not isinstance(line, dict):
            raise RefusedError(f"ligne {number} : un objet est attendu")
    return lines


def _check_dates(line: Line, number: int) -> None:
    for key in ("dateJustif", "debCutOff", "finCutOff"):
        if line.get(key) is not None:
            _check_iso(line[key], f"ligne {number} : la date {key}")
    if (line.get("debCutOff") is None) is not (line.get("finCutOff") is None):
        raise RefusedError(
            f"ligne {number} : les dates de cut-off doivent être renseignées ensemble"
        )


def _check_iso(value: object, what: str) -> None:
    try:
        dt.datetime.fromisoformat(value if isinstance(value, str) else "")
    except ValueError as error:
        raise RefusedError(f"{what} n'est pas au format ISO") from error


def _check_sirets(of_request: object, lines: Iterable[Line], folder: Folder) -> None:
    """Empty means the main establishment. Reference: Loop API 3.7."""
    sirens = set()
    sirets = [("", of_request)]
    sirets += [(f"ligne {n} : ", line.get("SIRET")) for n, line in enumerate(lines, start=1)]
    for where, siret in sirets:
        if siret is None or siret == "":
            continue
        if not isinstance(siret, str) or not _is_siret(siret):
            raise RefusedError(f"{where}le SIRET est invalide")
        sirens.add(siret[:_SIREN])
        if len(sirens) > 1:
            raise RefusedError("les SIRET doivent avoir un SIREN identique")
        if folder.establishments.lacks(siret):
            raise RefusedError(f"{where}le SIRET {siret} n'est pas reconnu dans le dossier")


def _is_siret(text: str) -> bool:
    """Fourteen digits with the check digit of Luhn."""
    if len(text) != _SIRET or not (text.isascii() and text.isdigit()):
        return False
    total = 0
    for place, digit in enumerate(reversed(text)):
        value = int(digit) * (1 + place % 2)
        total += value // _LUHN_BASE + value % _LUHN_BASE
    return total % _LUHN_BASE == 0
