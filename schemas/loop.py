"""Loop's import request, and its answers. Reference: Loop API 3.7, 3.10 and 10."""

import datetime as dt
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate

from passerelle.domain.mapping import LoopLine, Side
from passerelle.domain.text import normalise
from passerelle.domain.verdict import Moved, Place, Row, moved

_OPTIONS = {
    "separatorDecimal": ".",
    "formatDate": "YYYY-MM-DDTHH:mm:ss.SSSZ",
    "multiPeriode": True,
    "failOnUnbalanced": True,
    "balanceAuto": False,
    "createNewJournaux": False,
    "createNewComptes": False,
    "createNewTiers": True,
    "createPieceRef": False,
    "sortLines": False,
}


def _midnight(day: dt.date | None) -> str | None:
    """A day as Loop's samples write it; never converted from a local time."""
    # Not strftime, which leaves out the zeros before a year below 1000.
    return None if day is None else f"{day.isoformat()}T00:00:00.000Z"


def _side(side: Side) -> dict[str, Any]:
    # A double writes every amount of two decimals and at most 15 digits as it is.
    return {
        "amount": float(side.amount),
        "currency": side.currency,
        "currencyAmount": float(side.currency_amount),
        "currencyRate": side.currency_rate,
    }


def dump_line(line: LoopLine) -> dict[str, Any]:
    """One element of `data.ecritures`: what an attempt stores is what is sent.

    No marshmallow: there is nothing to check, and it took nine times as long.
    """
    written = {
        "date": _midnight(line.date),
        "debit": _side(line.debit),
        "credit": _side(line.credit),
        "journal": line.journal,
        "compte": line.account,
        "libelle": line.description,
        "reference": line.reference,
        "refPiece": line.reference,
        "tiers": line.auxiliary,
        "commentaire": line.comment,
        "compteLib": line.account_label,
        "journalLib": line.journal_label,
        "dateJustif": _midnight(line.document_date),
        "dateEcheance": _midnight(line.due_date),
        "dateOperation": _midnight(line.operation_date),
        "modePaiement": line.payment_mode,
        "codeLettrage": line.lettering,
        "dateLettrage": _midnight(line.lettering_date),
        "SIRET": line.siret,
        "ecritureOrigine": None if line.origin is None else str(line.origin),
        "fichier": None if line.attachment is None else {"uri": line.attachment.url},
    }
    return {name: value for name, value in written.items() if value is not None}


def encode(value: object) -> bytes:
    """The bytes that go over the wire, so that what is measured is what is sent."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def encode_import(folder: str, entries: Iterable[bytes], *, create_accounts: bool) -> bytes:
    """The body of `POST /importJson` for entries of one folder, each an encoded array of its lines.

    `contexte` may be left out because `multiPeriode` is true.
    """
    options = _OPTIONS | {"createNewComptes": create_accounts}
    lines = b",".join(entry[1:-1] for entry in entries)
    return b'{"codeIbs":%b,"data":{"options":%b,"ecritures":[%b]}}' % (
        encode(folder),
        encode(options),
        lines,
    )


@dataclass(frozen=True, slots=True)
class Accepted:
    request_id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """`message` is in Loop's own words, on one line."""

    instance_id: str | None
    message: str


@dataclass(frozen=True, slots=True)
class ImportStatus:
    """`status` 1 waiting, 2 running, 3 success, 4 error, others unknown; None where unreadable."""

    status: int | None
    message: str | None


class _Words(fields.String):
    """Text of Loop, cleared of what PostgreSQL does not take (U+0000, lone surrogates)."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        return normalise(super()._deserialize(value, attr, data, **kwargs))


class _ErrorSchema(Schema):
    class Meta:
        unknown = EXCLUDE

    instance_id = _Words(data_key="instanceId", allow_none=True, load_default=None)
    message = _Words(required=True, validate=validate.Length(min=1))


class _ImportAnswerSchema(Schema):
    class Meta:
        unknown = EXCLUDE

    # It goes into a query string, so anything but plain characters is no id.
    request_id = fields.String(
        data_key="accountingImportRequestId", validate=validate.Regexp(r"[!-~]{1,200}\Z")
    )
    error = fields.Nested(_ErrorSchema)


_IMPORT_ANSWER = _ImportAnswerSchema()


def import_answer(body: object) -> Accepted | Refused | None:
    """What Loop said of an import; None for anything that is no plain yes or no.

    The HTTP code says nothing: a refusal comes with 200 (reference: Loop API 3.7).
    """
    if not isinstance(body, dict):
        return None
    try:
        answer = _IMPORT_ANSWER.load(body)
    except ValidationError:
        return None
    match answer:
        case {"request_id": _, "error": _}:
            return None
        case {"request_id": request_id}:
            return Accepted(request_id)
        case {"error": error}:
            return Refused(**error)
    return None


# Short enough for an integer column.
_STATUS = re.compile(r"([0-9]{1,9})(\.0*)?")
_WORDS = ("message", "error", "errors")


def _status(value: object) -> int | None:
    match = _STATUS.fullmatch(str(value).strip()) if isinstance(value, int | float | str) else None
    return int(match[1]) if match else None


def _words(body: Mapping[str, Any]) -> Iterator[str]:
    """Every text under the keys that may hold an explanation, however deep, in order."""
    found = [body[key] for key in reversed(_WORDS) if key in body]
    while found:
        match found.pop():
            case str(text):
                yield normalise(text)
            case list(items):
                found.extend(reversed(items))
            case dict(inner):
                keys = [key for key in _WORDS if key in inner] or list(inner)
                found.extend(inner[key] for key in reversed(keys))


def status_answer(body: object) -> ImportStatus:
    """How far an import is. Only `status` is known for sure, so every spelling is tried."""
    if not isinstance(body, dict):
        return ImportStatus(None, None)
    readings = [body.get("status"), body.get("statut")]
    statuses = [_status(reading) for reading in readings]
    words = [
        normalise(reading)
        for reading, status in zip(readings, statuses, strict=True)
        if isinstance(reading, str) and status is None
    ]
    words.extend(_words(body))
    return ImportStatus(
        status=next((status for status in statuses if status is not None), None),
        message="; ".join(filter(None, dict.fromkeys(words))) or None,
    )


def sent_moves(lines: Sequence[Mapping[str, Any]]) -> list[Moved]:
    """What lines move that were dumped by `dump_line`."""
    return [
        moved(line["compte"], line.get("tiers"), line["debit"]["amount"], line["credit"]["amount"])
        for line in lines
    ]


def sent_place(lines: Sequence[Mapping[str, Any]]) -> Place:
    """Where lines of one entry stand that were dumped by `dump_line`."""
    line = lines[0]
    return Place(line["journal"], line["refPiece"], line["date"][:_DAY])


# Of an ISO time: `2026-01-15`.
_DAY = 10

# The fields of the answer are not documented: those that may be filtered by have the filter's
# names, of the others each likely name is tried (reference: Loop API 3.6).
_ACCOUNTS = ("compteNumero", "compte", "numeroCompte")
_THIRD_PARTIES = ("tiersCode", "tiers", "codeTiers")


def entry_rows(body: object) -> list[Row] | None:
    """The lines of an answer of `GET /EcritureComptable`; None where they cannot be read.

    One line that cannot be read spoils them all, or an entry could look absent or whole.
    """
    found = records(body)
    if found is None:
        return None
    try:
        return [_entry_row(row) for row in found]
    except (ValueError, ArithmeticError):
        return None


def _entry_row(row: Mapping[str, Any]) -> Row:
    """Raises: ValueError or ArithmeticError, where it cannot be read."""
    account, third_party = _first(row, _ACCOUNTS), _first(row, _THIRD_PARTIES)
    if not isinstance(account, str) or "debit" not in row or "credit" not in row:
        raise ValueError("no account or no amount")
    origin = row.get("ecritureOrigine")
    return Row(
        moved(
            account,
            third_party if isinstance(third_party, str) else None,
            _side_amount(row["debit"]),
            _side_amount(row["credit"]),
        ),
        account,
        origin if isinstance(origin, str) else None,
        _place(row),
        row["codeLettrage"] is not None if "codeLettrage" in row else None,
    )


def _place(row: Mapping[str, Any]) -> Place | None:
    match row:
        case {"journalCode": str(journal), "refPiece": str(piece), "datePiece": str(date)}:
            return Place(journal, piece, date[:_DAY])
    return None


def _first(row: Mapping[str, Any], names: Sequence[str]) -> object:
    return next((row[name] for name in names if row.get(name) is not None), None)


def _side_amount(side: object) -> object:
    """A side is a number, or an object as it is in an import."""
    return side.get("amount") if isinstance(side, dict) else side


def records(body: object) -> list[dict[str, Any]] | None:
    """The rows of a list, bare or under `data`; None if it is none.

    One row of another shape spoils the list: to leave it out could make an entry look absent.
    """
    rows = body.get("data") if isinstance(body, dict) else body
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return None
    return rows
