"""The event at the door: all that is wrong with a raw one, and what a good one says.

Contract: the event, version 1 (`entry-validated.v1.schema.json` and the rules of its `$comment`).
Where that leaves a choice: 1.0 is the integer 1, as JSON Schema has it; a time may have a small `t`
or `z`, as RFC 3339 has it; a leap second, and a time that is outside the years 1 to 9999 in UTC,
are refused, because neither Python nor PostgreSQL could give them back.
"""

import datetime as dt
import json
import re
import uuid
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any, TypeVar, cast

from marshmallow import ValidationError, fields, validate, validates_schema

from passerelle.domain.event import (
    Attachment,
    Auxiliary,
    Entry,
    Event,
    Fault,
    Journal,
    Kind,
    Lettering,
    Line,
    PaymentMode,
)
from schemas import formats
from schemas.shapes import (
    MOST_FAULTS,
    MOST_KEYS,
    Integer,
    Object,
    Readable,
    Shape,
    Text,
    at_most,
    flat,
    free,
    revision,
    too_many_keys,
    wrong_type,
)

TYPE = "entry.validated"
MOST_BYTES = 1_000_000
LEAST_LINES = 2
MOST_LINES = 5_000

_T = TypeVar("_T")
_CENT = Decimal("0.01")
_FOREIGN = {"currency_amount", "currency_rate"}
_HOME = "is only for a currency other than EUR"
_ALONE = "is missing: currency_amount and currency_rate come together"


def faults(raw: object) -> list[Fault]:
    """All that is wrong with what a JSON decoder gave; empty for a good event.

    At most `MOST_FAULTS` and one that counts the rest. Below an unknown key or a value of the wrong
    type nothing is looked at, nor in a list of too many lines, nor past `MOST_FAULTS` faulty lines.
    Never raises, and takes time in proportion to the size of `raw`, however it is made.
    """
    if not isinstance(raw, dict):
        return [Fault("", wrong_type("an object", raw))]
    if len(raw) > MOST_KEYS:
        return [Fault("", too_many_keys(raw))]
    return at_most([*_oversize(raw), *_wrong(raw)])


def _wrong(raw: dict[str, Any]) -> Iterable[Fault]:
    try:
        EVENT.read(raw)
    except ValidationError:
        return flat(EVENT.validate(raw))
    return ()


def build(raw: dict[str, Any]) -> Event:
    """The event of a raw one that has no faults: amounts with two decimals, times in UTC."""
    return Event(
        event_id=uuid.UUID(raw["event_id"]),
        occurred_at=formats.moment(raw["occurred_at"]),
        firm=raw["firm"],
        folder=raw["folder"],
        entry=build_entry(raw["entry"]),
    )


def build_entry(raw: dict[str, Any]) -> Entry:
    """The entry of a raw event that has no faults."""
    attachment = raw.get("attachment")
    return Entry(
        id=raw["id"],
        revision=int(raw["revision"]),
        kind=Kind(raw["kind"]),
        journal=Journal(**raw["journal"]),
        date=dt.date.fromisoformat(raw["date"]),
        piece_ref=raw["piece_ref"],
        lines=tuple([_line(line) for line in raw["lines"]]),
        document_date=_maybe(dt.date.fromisoformat, raw.get("document_date")),
        siret=raw.get("siret"),
        currency=raw.get("currency", "EUR"),
        attachment=None if attachment is None else _attachment(attachment),
    )


class _Amount(Text):
    wanted = 'a string such as "100.00"'
    matching = formats.Matching(
        re.compile(r"[0-9]{1,13}(\.[0-9]{1,2})?"),
        'an amount such as "100.00", of at most 13 digits before the point and 2 after',
    )

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Decimal:
        text = super()._deserialize(value, *args, **kwargs)
        self.matching(text)
        return Decimal(text)


class _Lines(Readable, fields.List[Any]):
    def read(self, value: Any) -> list[Any]:
        self._require_list(value)
        read = cast(Readable, self.inner).read
        return [read(line) for line in value]

    @staticmethod
    def _require_list(value: Any) -> None:
        if not isinstance(value, list):
            raise ValidationError(wrong_type("an array", value))
        # Before the lines are read: there may be a million.
        if len(value) > MOST_LINES:
            raise ValidationError(f"must have at most {MOST_LINES} lines, not {len(value)}")

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> list[Any]:
        self._require_list(value)
        lines, errors = [], {}
        for index, line in enumerate(value):
            try:
                lines.append(self.inner.deserialize(line))
            except ValidationError as error:
                # What is good of a line counts for the rules over all lines.
                lines.append(error.valid_data or {})
                errors[index] = error.messages
                if len(errors) == MOST_FAULTS:
                    break
        if errors:
            raise ValidationError(errors, valid_data=lines)
        return lines


def _code(pattern: str, wanted: str, *, required: bool = False) -> Text:
    return Text(required=required, validate=formats.Matching(re.compile(pattern), wanted))


def _choice(choices: Iterable[str], *, required: bool = False) -> Text:
    check = validate.OneOf(tuple(choices), error="must be one of {choices}")
    return Text(required=required, validate=check)


class _Journal(Shape):
    code = free(16, least=1, required=True)
    label = free(255)


class _Auxiliary(Shape):
    code = free(64, blank=False, required=True)
    label = free(255)


class _Lettering(Shape):
    code = free(32, least=1, required=True)
    date = Text(validate=formats.date)


class _Attachment(Shape):
    url = Text(required=True, validate=formats.link)
    filename = free(255)
    expires_at = Text(validate=formats.date_time)


class _Line(Shape):
    account = _code("[0-9A-Za-z]{1,32}", "1 to 32 letters or digits", required=True)
    account_label = free(255)
    auxiliary = Object(_Auxiliary)
    description = free(1000, required=True)
    debit = _Amount(required=True)
    credit = _Amount(required=True)
    currency_amount = _Amount()
    currency_rate = _code(r"[0-9]+(\.[0-9]+)?", 'a rate such as "1.0842"')
    due_date = Text(validate=formats.date)
    operation_date = Text(validate=formats.date)
    payment_mode = _choice(PaymentMode)
    lettering = Object(_Lettering)

    @validates_schema(skip_on_field_errors=False, pass_original=True)
    def one_side(self, line: dict[str, Any], raw: object, **_: object) -> None:  # noqa: ARG002
        if "debit" in line and "credit" in line and (line["debit"] > 0) == (line["credit"] > 0):
            raise ValidationError("must have exactly one of debit and credit above zero")


class _Entry(Shape):
    id = free(64, blank=False, required=True)
    revision = revision()
    kind = _choice(Kind, required=True)
    journal = Object(_Journal, required=True)
    date = Text(required=True, validate=formats.date)
    piece_ref = free(64, blank=False, required=True)
    document_date = Text(validate=formats.date)
    siret = Text(validate=formats.siret)
    currency = _code("[A-Z]{3}", 'a currency code such as "EUR"')
    attachment = Object(_Attachment)
    lines = _Lines(Object(_Line), required=True)

    @validates_schema(skip_on_field_errors=False, pass_original=True)
    def balance(self, entry: dict[str, Any], raw: dict[str, Any], **_: object) -> None:
        lines, good = raw.get("lines"), entry.get("lines", ())
        if not isinstance(lines, list):
            return
        if len(lines) < LEAST_LINES:
            raise ValidationError(f"must have at least {LEAST_LINES} lines", "lines")
        if len(good) == len(lines) and all("debit" in line and "credit" in line for line in good):
            debit = sum(line["debit"] for line in good)
            credit = sum(line["credit"] for line in good)
            if debit != credit:
                raise ValidationError(f"must balance: {debit} debit, {credit} credit", "lines")

    @validates_schema(skip_on_field_errors=False, pass_original=True)
    def foreign(self, entry: dict[str, Any], raw: dict[str, Any], **_: object) -> None:
        if "lines" not in entry:
            return
        euro = raw.get("currency", "EUR") == "EUR"
        found: dict[int, dict[str, list[str]]] = {}
        for index, line in enumerate(raw["lines"]):
            given = _FOREIGN & line.keys() if isinstance(line, dict) else set()
            if euro:
                found[index] = {key: [_HOME] for key in given}
            elif given:
                found[index] = {key: [_ALONE] for key in _FOREIGN - given}
        if any(found.values()):
            raise ValidationError({"lines": found})


class _Event(Shape):
    event_id = _code("[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", "a UUID", required=True)
    type = Text(required=True, validate=validate.Equal(TYPE, error=f'must be "{TYPE}"'))
    schema_version = Integer(required=True, validate=validate.Equal(1, error="must be 1"))
    occurred_at = Text(required=True, validate=formats.date_time)
    firm = free(64, blank=False, required=True)
    folder = free(64, blank=False, required=True)
    entry = Object(_Entry, required=True)


EVENT = _Event()


def _oversize(raw: dict[str, Any]) -> Iterator[Fault]:
    try:
        text = json.dumps(raw, ensure_ascii=False, separators=(",", ":"), check_circular=False)
    except (RecursionError, TypeError, ValueError):
        # Nested too deep, what kombu makes of a `__type__`, an integer of thousands of digits: the
        # contract has no place for any of them, so each is a fault of its own.
        return
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MOST_BYTES:
        yield Fault("", f"must have at most {MOST_BYTES} bytes as compact JSON, not {size}")


def _attachment(raw: dict[str, Any]) -> Attachment:
    return Attachment(
        url=raw["url"],
        filename=raw.get("filename"),
        expires_at=_maybe(formats.moment, raw.get("expires_at")),
    )


def _line(raw: dict[str, Any]) -> Line:
    auxiliary, lettering = raw.get("auxiliary"), raw.get("lettering")
    return Line(
        account=raw["account"],
        description=raw["description"],
        debit=_money(raw["debit"]),
        credit=_money(raw["credit"]),
        account_label=raw.get("account_label"),
        auxiliary=None if auxiliary is None else Auxiliary(**auxiliary),
        currency_amount=_maybe(_money, raw.get("currency_amount")),
        currency_rate=raw.get("currency_rate"),
        due_date=_maybe(dt.date.fromisoformat, raw.get("due_date")),
        operation_date=_maybe(dt.date.fromisoformat, raw.get("operation_date")),
        payment_mode=_maybe(PaymentMode, raw.get("payment_mode")),
        lettering=None if lettering is None else _lettering(lettering),
    )


def _lettering(raw: dict[str, Any]) -> Lettering:
    return Lettering(raw["code"], _maybe(dt.date.fromisoformat, raw.get("date")))


def _money(value: str) -> Decimal:
    return Decimal(value).quantize(_CENT)


def _maybe(make: Callable[[str], _T], value: str | None) -> _T | None:
    return None if value is None else make(value)
