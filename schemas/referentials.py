"""The records of Loop's lists. Reference: Loop API 2, 3.1, 3.2 and 3.4."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from passerelle.domain.referential import Kind, Page, Record
from passerelle.domain.text import normalise
from schemas.formats import UNSTORABLE
from schemas.loop import records

_THIRD_PARTIES = frozenset({Kind.CUSTOMER, Kind.SUPPLIER, Kind.EMPLOYEE, Kind.OTHER})
_NAMES = ("raisonSociale", "nomUsuel", "nom")


def referential_page(kind: Kind, body: object) -> Page | None:
    """A page of a list, bare or under `data`; None if it is none.

    A record without a code is of no use to anybody and left out.
    """
    rows = records(body)
    if rows is None:
        return None
    try:
        found = [_record(kind, _storable(row)) for row in rows]
    except RecursionError:
        return None
    return Page(tuple(record for record in found if record is not None), len(rows))


# Neither the route nor its fields are documented (reference: Loop API 3.12 and 3.13).
_FOLDER_CODES = ("codeDossier", "codeIbs", "codeIBS", "code")
_FOLDER_NAMES = ("libelle", "nom", "raisonSociale", "name")


def folder_page(body: object) -> Page | None:
    """A page of the list of folders that a key reaches; None if it is none."""
    rows = records(body)
    if rows is None:
        return None
    found = []
    for row in rows:
        code = _first(row, _FOLDER_CODES)
        if code:
            closed = row.get("ferme") is True
            found.append(Record(code, _first(row, _FOLDER_NAMES), closed, None, None, {}))
    return Page(tuple(found), len(rows))


def _first(row: Mapping[str, Any], names: Sequence[str]) -> str:
    return next(filter(None, (_text(row, name) for name in names)), "")


def _record(kind: Kind, row: Mapping[str, Any]) -> Record | None:
    code = _text(row, "numero" if kind is Kind.ACCOUNT else "code")
    if not code:
        return None
    if kind in _THIRD_PARTIES:
        label = _first(row, _NAMES)
        closed = row.get("actif") is False
    else:
        label, closed = _text(row, "libelle"), row.get("ferme") is True
    object_id, revision_id = _text(row, "objectId"), _text(row, "revisionId")
    return Record(code, label, closed, object_id or None, revision_id or None, row)


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return normalise(value) if isinstance(value, str) else ""


def _storable(value: Any) -> Any:
    """Without what PostgreSQL's jsonb does not take: some characters, and numbers that are none."""
    match value:
        case str():
            return UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", value)
        case float():
            return value if math.isfinite(value) else None
        case list():
            return [_storable(item) for item in value]
        case dict():
            return {_storable(key): _storable(item) for key, item in value.items()}
    return value
