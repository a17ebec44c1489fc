"""Kinds of wrong event, each with where its faults are, and message bodies that are no task call.

A wrong event is made from one of `support.events.purchase`, and `json.dumps` can write it.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from support.events import JsonObject, credit, debit, drop, purchase, put

_LINE = "/entry/lines/0"
_ARABIC_100 = "\u0661\u0660\u0660"


@dataclass(frozen=True, slots=True)
class WrongEvent:
    name: str
    spoil: Callable[[JsonObject], Any]
    # The JSON Pointers at which faults are told; "" is the event as a whole.
    paths: frozenset[str]


def _wrong(name: str, spoil: Callable[[JsonObject], Any], *paths: str) -> WrongEvent:
    return WrongEvent(name, spoil, frozenset(paths))


def _instead(value: Any) -> WrongEvent:
    return _wrong(f"the event is {json.dumps(value)}", lambda _: value, "")


def _without(pointer: str) -> WrongEvent:
    return _wrong(f"{pointer} missing", lambda event: drop(event, pointer), pointer)


def _at(pointer: str, name: str, value: Any, *paths: str) -> WrongEvent:
    """Another value at a pointer, where the fault is unless told otherwise."""
    return _wrong(
        f"{pointer} {name}", lambda event: put(event, pointer, value), *(paths or [pointer])
    )


def _lines(name: str, make: Callable[[], list[Any]], *paths: str) -> WrongEvent:
    return _wrong(f"lines {name}", lambda event: put(event, "/entry/lines", make()), *paths)


def _sides(name: str, debit: str, credit: str) -> WrongEvent:
    """Two lines that balance and each have both sides alike."""

    def make() -> list[Any]:
        line = {"account": "606400", "description": "", "debit": debit, "credit": credit}
        return [line, line]

    return _lines(name, make, "/entry/lines/0", "/entry/lines/1")


def _rate(rate: object) -> WrongEvent:
    def spoil(event: JsonObject) -> JsonObject:
        foreign = put(event, "/entry/currency", "USD")
        return put(put(foreign, f"{_LINE}/currency_amount", "1"), f"{_LINE}/currency_rate", rate)

    return _wrong(f"currency rate {rate!r}", spoil, f"{_LINE}/currency_rate")


def _nest(depth: int) -> list[Any]:
    nest: list[Any] = []
    for _ in range(depth):
        nest = [nest]
    return nest


def _many_lines(count: int, description: str = "") -> list[JsonObject]:
    """Lines that balance."""
    debits = [debit("0.01", description=description) for _ in range(count - 1)]
    return [*debits, credit(f"{(count - 1) / 100:.2f}", description=description)]


WRONG_EVENTS = [
    *map(_instead, ([], [{}], "entry.validated", "", 7, 0.5, True, None)),
    _wrong(
        "the event has a shell around it",
        lambda event: {"event": event},
        *("/event", "/event_id", "/type", "/schema_version", "/occurred_at"),
        *("/firm", "/folder", "/entry"),
    ),
    # Missing keys.
    *map(_without, ("/event_id", "/type", "/schema_version", "/occurred_at", "/firm", "/folder")),
    *map(_without, ("/entry", "/entry/id", "/entry/revision", "/entry/kind", "/entry/journal")),
    *map(_without, ("/entry/date", "/entry/piece_ref", "/entry/lines", "/entry/journal/code")),
    *map(_without, ("/entry/attachment/url", f"{_LINE}/account", f"{_LINE}/description")),
    *map(_without, (f"{_LINE}/debit", "/entry/lines/2/credit", "/entry/lines/2/auxiliary/code")),
    _without("/entry/lines/2/lettering/code"),
    # Unknown keys.
    _at("/source", "unknown", "hub"),
    _at("/entry/piece_reference", "misspelt", "FA-1"),
    _at("/entry/journal/name", "unknown", "Achats"),
    _at("/entry/attachment/mime", "unknown", "application/pdf"),
    _at(f"{_LINE}/amount", "unknown", "100.00"),
    _at("/entry/lines/2/auxiliary/name", "unknown", "x"),
    _at("/entry/lines/2/lettering/rank", "unknown", None),
    _at("/entry/Siret", "in capitals", "73282932000074"),
    _at("/entry/ siret", "with a blank", "73282932000074"),
    _at("/", "empty key", 1),
    _at("/entry/a~1b~0c", "to be escaped", 1),
    _at("/_schema", "the library's own word", 1),
    _at(f"{_LINE}/_schema", "the library's own word", {}),
    _at("/__proto__", "another language's word", {}),
    _at("/entry/a\0b", "U+0000 in a key", 1, "/entry/a\\u0000b"),
    _at(f"{_LINE}/\ud800", "lone surrogate in a key", 1, f"{_LINE}/\\ud800"),
    _at("/" + "k" * 5000, "far too long a key", 1, "/" + "k" * 60 + "…"),
    _at("/nest", "unknown and deep", _nest(200)),
    # Wrong types.
    _at("/event_id", "a number", 7),
    _at("/event_id", "an object", {"hex": "5f0c1a4e6a6e4f7f9f0e2f3a8d1b7c10"}),
    _at("/type", "null", None),
    _at("/schema_version", "a string", "1"),
    _at("/schema_version", "true", value=True),
    _at("/occurred_at", "a number", 1795189327),
    _at("/firm", "a number", 42),
    _at("/folder", "an array", ["DEMO000001"]),
    _at("/entry", "null", None),
    _at("/entry", "an array", []),
    _at("/entry", "a string", "{}"),
    _at("/entry/id", "a number", 731),
    _at("/entry/kind", "an array", ["purchase"]),
    _at("/entry/journal", "a string", "ACH"),
    _at("/entry/journal/label", "null", None),
    _at("/entry/date", "a number", 20261118),
    _at("/entry/piece_ref", "a number", 1187),
    _at("/entry/siret", "a number", 73282932000074),
    _at("/entry/siret", "null", None),
    _at("/entry/currency", "null", None),
    _at("/entry/attachment", "a string", "https://files.example.com/a.pdf"),
    _at("/entry/attachment", "null", None),
    _at("/entry/attachment/filename", "true", value=True),
    _at("/entry/attachment/expires_at", "a number", 1795189327),
    _at("/entry/lines", "an object", {"0": {}}),
    _at("/entry/lines", "null", None),
    _at("/entry/lines", "a string", "[]"),
    _at(_LINE, "null", None),
    _at(_LINE, "a string", "606400;100.00"),
    _at(_LINE, "an array", ["606400", "100.00"]),
    _at(f"{_LINE}/account", "a number", 606400),
    _at(f"{_LINE}/account_label", "an object", {"fr": "Fournitures"}),
    _at(f"{_LINE}/description", "null", None),
    _at(f"{_LINE}/description", "deep", _nest(200)),
    _at("/entry/lines/2/auxiliary", "a string", "FPAPETERIE"),
    _at("/entry/lines/2/auxiliary/code", "a number", 401),
    _at("/entry/lines/2/due_date", "false", value=False),
    _at("/entry/lines/2/payment_mode", "an object", {}),
    _at("/entry/lines/2/lettering", "a string", "AA"),
    # Money.
    _at(f"{_LINE}/debit", "a float", 100.0),
    _at(f"{_LINE}/debit", "an integer", 100),
    _at(f"{_LINE}/debit", "NaN", float("nan")),
    _at(f"{_LINE}/debit", "Infinity", float("inf")),
    _at(f"{_LINE}/debit", "null", None),
    _at(f"{_LINE}/debit", "empty", ""),
    _at(f"{_LINE}/debit", "negative", "-100.00"),
    _at(f"{_LINE}/debit", "with a plus", "+100.00"),
    _at(f"{_LINE}/debit", "of three decimals", "100.000"),
    _at(f"{_LINE}/debit", "without decimals", "100."),
    _at(f"{_LINE}/debit", "without a whole", ".50"),
    _at(f"{_LINE}/debit", "of 14 digits", "10000000000000"),
    _at(f"{_LINE}/debit", "with a comma", "100,00"),
    _at(f"{_LINE}/debit", "with a thousands blank", "1 00.00"),
    _at(f"{_LINE}/debit", "as a power", "1e2"),
    _at(f"{_LINE}/debit", "as a word", "NaN"),
    _at(f"{_LINE}/debit", "with a line end", "100.00\n"),
    _at(f"{_LINE}/debit", "with an underscore", "1_00"),
    _at(f"{_LINE}/debit", "in Arabic-Indic digits", _ARABIC_100),
    _at(f"{_LINE}/debit", "a million digits", "1" * 900_000),
    _at(f"{_LINE}/debit", "a cent too much", "100.01", "/entry/lines"),
    _sides("with both sides above zero", "10.00", "10.00"),
    _sides("with both sides zero", "0", "0.00"),
    _wrong(
        "both sides above zero on one line, out of balance besides",
        lambda event: put(event, f"{_LINE}/credit", "1.00"),
        *(_LINE, "/entry/lines"),
    ),
    # Lines.
    _lines("none", list, "/entry/lines"),
    _lines("one", lambda: [debit("100.00")], "/entry/lines"),
    _lines("one, and that not good", lambda: ["x"], "/entry/lines", "/entry/lines/0"),
    _lines("5,001", lambda: _many_lines(5001), "/entry/lines"),
    _lines(
        "two faulty of twelve",
        lambda: [*_many_lines(10), None, debit("1", account="")],
        *("/entry/lines/10", "/entry/lines/11/account"),
    ),
    _lines("over 1 MB together", lambda: _many_lines(1000, "é" * 500), ""),
    # Currency.
    _at("/entry/currency", "in small letters", "eur"),
    _at("/entry/currency", "with a line end", "EUR\n"),
    _at("/entry/currency", "of four letters", "EURO"),
    _at(f"{_LINE}/currency_amount", "where all is in EUR", "1.00"),
    _at(f"{_LINE}/currency_rate", "where all is in EUR", "1.0"),
    _wrong(
        "foreign money where the currency is left to its default",
        lambda event: put(
            put(drop(event, "/entry/currency"), f"{_LINE}/currency_rate", "1.1"),
            *(f"{_LINE}/currency_amount", "110.00"),
        ),
        *(f"{_LINE}/currency_rate", f"{_LINE}/currency_amount"),
    ),
    _wrong(
        "currency amount without its rate",
        lambda event: put(
            put(event, "/entry/currency", "USD"), f"{_LINE}/currency_amount", "110.00"
        ),
        f"{_LINE}/currency_rate",
    ),
    _wrong(
        "currency rate without its amount",
        lambda event: put(put(event, "/entry/currency", "USD"), f"{_LINE}/currency_rate", "1.1"),
        f"{_LINE}/currency_amount",
    ),
    *map(_rate, (1.1, "", "1,1", "-1.1", "1.", "1.1\n", "1e3", _ARABIC_100)),
    # Whole numbers and fixed words.
    _at("/type", "another", "entry.corrected"),
    _at("/type", "with a line end", "entry.validated\n"),
    _at("/schema_version", "2", 2),
    _at("/entry/revision", "0", 0),
    _at("/entry/revision", "negative", -1),
    _at("/entry/revision", "1.5", 1.5),
    _at("/entry/revision", "true", value=True),
    _at("/entry/revision", "a string", "1"),
    _at("/entry/revision", "1000001", 1_000_001),
    _at("/entry/revision", "NaN", float("nan")),
    _at("/entry/revision", "minus Infinity", float("-inf")),
    _at("/entry/revision", "of a thousand digits", 10**1000),
    _at("/entry/revision", "1e300", 1e300),
    _at("/entry/kind", "unknown", "invoice"),
    _at("/entry/kind", "in capitals", "PURCHASE"),
    _at("/entry/lines/2/payment_mode", "unknown", "bitcoin"),
    # Strings.
    *[
        _at(pointer, name, value)
        for pointer in ("/firm", "/folder", "/entry/id", "/entry/piece_ref")
        for name, value in (("empty", ""), ("blank", " \t\ufeff\u2028"), ("too long", "x" * 65))
    ],
    _at("/entry/lines/2/auxiliary/code", "blank", "\u00a0"),
    _at("/entry/lines/2/auxiliary/code", "too long", "F" * 65),
    _at("/entry/journal/code", "empty", ""),
    _at("/entry/journal/code", "too long", "A" * 17),
    _at("/entry/journal/label", "too long", "é" * 256),
    _at("/entry/attachment/filename", "too long", "é" * 256),
    _at("/entry/lines/2/lettering/code", "empty", ""),
    _at("/entry/lines/2/lettering/code", "too long", "A" * 33),
    _at(f"{_LINE}/account", "empty", ""),
    _at(f"{_LINE}/account", "too long", "6" * 33),
    _at(f"{_LINE}/account", "with a line end", "606400\n"),
    _at(f"{_LINE}/account", "with an accent", "6064é0"),
    _at(f"{_LINE}/account", "in Arabic-Indic digits", _ARABIC_100),
    _at(f"{_LINE}/account_label", "too long", "x" * 256),
    _at(f"{_LINE}/description", "too long", "x" * 1001),
    _at(f"{_LINE}/description", "of 10 MB", "x" * 10_000_000, "", f"{_LINE}/description"),
    _at(f"{_LINE}/description", "with U+0000", "a\0b"),
    _at(f"{_LINE}/description", "with a lone high surrogate", "a\ud800b"),
    _at(f"{_LINE}/description", "with a lone low surrogate", "\udc00"),
    _at("/firm", "with U+0000", "CABINET42\0"),
    _at("/entry/attachment/filename", "with a lone surrogate", "\udfff.pdf"),
    # Identifiers, dates and times.
    _at("/event_id", "no UUID", "ach-2026-000731"),
    _at("/event_id", "without hyphens", "5f0c1a4e6a6e4f7f9f0e2f3a8d1b7c10"),
    _at("/event_id", "as a URN", "urn:uuid:5f0c1a4e-6a6e-4f7f-9f0e-2f3a8d1b7c10"),
    _at("/event_id", "in braces", "{5f0c1a4e-6a6e-4f7f-9f0e-2f3a8d1b7c10}"),
    _at("/event_id", "with a brace", "5f0c1a4e-6a6e-4f7f-9f0e-2f3a8d1b7c10}"),
    _at("/event_id", "with a line end", "5f0c1a4e-6a6e-4f7f-9f0e-2f3a8d1b7c10\n"),
    _at("/entry/siret", "failing the Luhn check", "73282932000075"),
    _at("/entry/siret", "of 13 digits", "7328293200007"),
    _at("/entry/siret", "with blanks", "732 829 320 00074"),
    _at("/entry/siret", "with a line end", "73282932000074\n"),
    _at("/entry/siret", "in Arabic-Indic digits", "\u0660" * 14),
    *[
        _at("/entry/date", name, value)
        for name, value in (
            ("30 February", "2026-02-30"),
            ("29 February of no leap year", "2026-02-29"),
            ("the French way", "18/11/2026"),
            ("without hyphens", "20261118"),
            ("by the week", "2026-W47-3"),
            ("with a time", "2026-11-18T00:00:00Z"),
            ("with a line end", "2026-11-18\n"),
            ("of the year 0", "0000-01-01"),
            ("in Arabic-Indic digits", "\u0662\u0660\u0662\u0666-11-18"),
        )
    ],
    _at("/entry/document_date", "30 February", "2026-02-30"),
    _at("/entry/lines/2/due_date", "13th month", "2026-13-01"),
    _at("/entry/lines/2/operation_date", "empty", ""),
    _at("/entry/lines/2/lettering/date", "31 April", "2026-04-31"),
    *[
        _at("/occurred_at", name, value)
        for name, value in (
            ("without offset", "2026-11-20T16:42:07"),
            ("a date", "2026-11-20"),
            ("with a blank for the T", "2026-11-20 16:42:07Z"),
            ("without seconds", "2026-11-20T16:42Z"),
            ("at 24 o'clock", "2026-11-20T24:00:00Z"),
            ("a leap second", "2016-12-31T23:59:60Z"),
            ("with a short offset", "2026-11-20T16:42:07+01"),
            ("with an offset of a day", "2026-11-20T16:42:07+24:00"),
            ("with a comma", "2026-11-20T16:42:07,5Z"),
            ("with a line end", "2026-11-20T16:42:07Z\n"),
            ("on 30 February", "2026-02-30T16:42:07Z"),
            ("before the calendar", "0001-01-01T00:00:00+01:00"),
            ("after the calendar", "9999-12-31T23:59:59-01:00"),
        )
    ],
    _at("/entry/attachment/expires_at", "without offset", "2026-11-27T16:42:07"),
    *[
        _at("/entry/attachment/url", name, value)
        for name, value in (
            ("without TLS", "http://files.example.com/a.pdf"),
            ("in capitals", "HTTPS://files.example.com/a.pdf"),
            ("relative", "/a.pdf"),
            ("empty", ""),
            ("with a blank", "https://files.example.com/a b.pdf"),
            ("with an accent", "https://files.example.com/é.pdf"),
            ("with half an escape", "https://files.example.com/%2"),
            ("with a line end", "https://files.example.com/a.pdf\n"),
            ("with no port", "https://files.example.com:https/"),
            ("of no address", "https://[2001:db8::1::2]/a.pdf"),
            ("with U+0000", "https://files.example.com/\0"),
            ("too long", "https://files.example.com/" + "a" * 2023),
        )
    ],
]


def body_of(event: Any) -> bytes:
    """The body of the Celery message that submits one event."""
    embedded = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    return json.dumps([[event], {}, embedded]).encode()


def _body_with(json_text: str) -> bytes:
    """A message whose event has that JSON text for a description, whatever it is."""
    event = put(purchase(), f"{_LINE}/description", "HERE")
    return body_of(event).replace(b'"HERE"', json_text.encode())


# Bodies by name, for queues where task calls are expected: none holds an event, and many cannot
# even be decoded.
WRONG_BODIES = {
    "nothing": b"",
    "empty string": b'""',
    "null": b"null",
    "a number": b"7",
    "true": b"true",
    "empty list": b"[]",
    "list of a list": b'[["x"]]',
    "an object": b'{"a":1}',
    "arguments that are no list": b'["x", {}, {}]',
    "options that are no object": b"[[], [], []]",
    "not JSON": b"entry.validated",
    "JSON cut off": b'[[{"event_id": "5f0c',
    "blanks": b" \n",
    "UTF-8 cut off": b'[["\xc3"], {}, {}]',
    "no UTF-8 at all": b"\xff\xfe\x00\x01",
    "UTF-16": '[["x"], {}, {}]'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf[["x"], {}, {}]',
    "10,000 levels of lists": b"[" * 10_000 + b"]" * 10_000,
    "10,000 levels of objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "10,000 levels in a field": _body_with("[" * 10_000 + "]" * 10_000),
    "an integer of 5,000 digits": _body_with("9" * 5000),
    "a type nobody registered": _body_with('{"__type__": "rocket", "__value__": 1}'),
    "a type that is a list": _body_with('{"__type__": [], "__value__": 1}'),
    "a decimal that is none": _body_with('{"__type__": "decimal", "__value__": "x"}'),
    "a UUID that is none": _body_with('{"__type__": "uuid", "__value__": {"x": 1}}'),
}
