"""The contract's JSON Schema with its extra rules, and our own schema: one verdict on any event.

The reference is jsonschema over the contract's file, its formats and patterns made as strict as
the contract says, and the rules of the `$comment` once more, written from their words.
"""

import datetime as dt
import json
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from jsonschema.validators import extend

from schemas.event import faults
from support.events import (
    JsonObject,
    credit,
    debit,
    drop,
    events,
    foreign_purchase,
    purchase,
    put,
)
from support.wrong_events import WRONG_EVENTS, WrongEvent

_ROOT = Path(__file__).parents[2]
_SCHEMA = json.loads((_ROOT / "schemas/entry-validated.v1.schema.json").read_text("utf-8"))
_EXAMPLE = json.loads((_ROOT / "schemas/examples/purchase.json").read_text("utf-8"))

# ECMA-262's white space; Python's `\S` means another.
_VISIBLE = r"[^\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]"


def _pattern(_: Any, pattern: str, value: object, __: Any) -> Iterator[ValidationError]:
    ecma = re.sub(r"\$$", r"\\Z", pattern).replace(r"\S", _VISIBLE)
    if isinstance(value, str) and re.search(ecma, value) is None:
        yield ValidationError(f"does not match {pattern}")


_FORMATS = FormatChecker(["date", "date-time", "uri", "uuid"])
_THEIRS = {name: check for name, (check, _) in _FORMATS.checkers.items()}


@_FORMATS.checks("uuid")
def _is_uuid(value: object) -> bool:
    form = re.sub("[0-9a-f]", "x", value.lower()) if isinstance(value, str) else _UUID_FORM
    return form == _UUID_FORM


_UUID_FORM = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"


@_FORMATS.checks("uri")
def _is_uri(value: object) -> bool:
    return bool(_THEIRS["uri"](value)) and "\n" not in str(value)


@_FORMATS.checks("date-time", raises=(ValueError, OverflowError))
def _is_time(value: object) -> bool:
    if not isinstance(value, str):
        return True
    if not _THEIRS["date-time"](value) or "\n" in value:
        return False
    clock = dt.datetime.strptime(value[:19].upper(), "%Y-%m-%dT%H:%M:%S").replace(tzinfo=dt.UTC)
    if value[-1] not in "Zz":
        offset = dt.timedelta(hours=int(value[-5:-3]), minutes=int(value[-2:]))
        clock += offset if value[-6] == "-" else -offset
    return True


_VALIDATOR = extend(Draft202012Validator, {"pattern": _pattern})(_SCHEMA, format_checker=_FORMATS)


def _reference(raw: Any) -> set[str]:
    """The JSON Pointers of all that is wrong."""
    found = {path for error in _VALIDATOR.iter_errors(raw) for path in _paths(error)}
    found |= {_pointer(path) for path, text in _texts(raw, ()) if not _is_storable(text)}
    compact = json.dumps(raw, ensure_ascii=False, separators=(",", ":"))
    if len(compact.encode("utf-8", "surrogatepass")) > 1_000_000:
        found.add("")
    entry = raw.get("entry") if isinstance(raw, dict) else None
    return found | {f"/entry{path}" for path in _entry_rules(entry)}


def _paths(error: ValidationError) -> Iterator[str]:
    at = tuple(error.absolute_path)
    if error.validator == "required":
        keys = [key for key in error.validator_value if key not in error.instance]
    elif error.validator == "additionalProperties":
        keys = [key for key in error.instance if key not in error.schema["properties"]]
    else:
        yield _pointer(at)
        return
    for key in keys:
        yield _pointer((*at, key))


def _pointer(path: tuple[Any, ...]) -> str:
    """RFC 6901; a key that cannot be stored is spelt out, and one that is too long is cut."""
    steps = [str(key) if len(str(key)) <= 60 else str(key)[:60] + "…" for key in path]
    spelt = [
        "".join(char if _is_storable(char) else f"\\u{ord(char):04x}" for char in step)
        for step in steps
    ]
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in spelt)


def _texts(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, (*path, index))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield (*path, key), key
            yield from _texts(item, (*path, key))


def _is_storable(text: str) -> bool:
    return not any(char == "\0" or "\ud800" <= char <= "\udfff" for char in text)


def _entry_rules(entry: Any) -> Iterator[str]:
    if not isinstance(entry, dict):
        return
    siret = entry.get("siret")
    if isinstance(siret, str) and re.fullmatch("[0-9]{14}", siret):
        doubled = "".join(
            digit if place % 2 else "0246813579"[int(digit)] for place, digit in enumerate(siret)
        )
        if sum(map(int, doubled)) % 10:
            yield "/siret"
    lines = entry.get("lines")
    if not isinstance(lines, list):
        return
    euro = entry.get("currency", "EUR") == "EUR"
    balance: Fraction | None = Fraction(0)
    for index, line in enumerate(lines):
        sides = [_amount(line, side) for side in ("debit", "credit")]
        if None in sides:
            balance = None
        else:
            if sum(side > 0 for side in sides) != 1:
                yield f"/lines/{index}"
            balance = None if balance is None else balance + sides[0] - sides[1]
        foreign = {"currency_amount", "currency_rate"}
        given = foreign & line.keys() if isinstance(line, dict) else set()
        for key in given if euro else foreign - given if given else ():
            yield f"/lines/{index}/{key}"
    if balance:
        yield "/lines"


def _amount(line: Any, side: str) -> Any:
    text = line.get(side) if isinstance(line, dict) else None
    if isinstance(text, str) and re.fullmatch(r"[0-9]{1,13}(\.[0-9]{1,2})?", text):
        return Fraction(text)
    return None


def _assert_one_verdict(raw: Any) -> set[str]:
    found = faults(raw)
    assert {fault.path for fault in found} == _reference(raw)
    return {fault.path for fault in found}


def _sized(count: int) -> JsonObject:
    """A good event of that many bytes of compact JSON, of two bytes a letter for the most part."""
    lines = [debit("1", description="é" * 500) for _ in range(860)]
    event = purchase(lines=[*lines, credit("860", description="")])
    short = count - len(json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode())
    for line in event["entry"]["lines"]:
        more = min(short, 1000 - len(line["description"]))
        line["description"] += "x" * more
        short -= more
    assert short == 0
    return event


_GOOD = {
    "the contract's example": _EXAMPLE,
    "foreign money": foreign_purchase(),
    "no amount of foreign money at all": foreign_purchase(lines=[debit("1"), credit("1")]),
    "integers written as floats": purchase(revision=3.0, schema_version=1.0),
    "the last revision": purchase(revision=1_000_000),
    "what only Python calls white space": purchase(firm="\x1c\x1d\x1e\x1f\x85"),
    "64 letters beyond the first plane": purchase(folder="\U0001f9fe" * 64),
    "an empty description": put(purchase(), "/entry/lines/0/description", ""),
    "a journal code of one blank": purchase(journal={"code": " "}),
    "control characters but U+0000": purchase(piece_ref="\x01\x7f\n"),
    "a noncharacter": purchase(id="\uffff"),
    "a small t and z": purchase(occurred_at="2026-11-20t15:42:07.123456789z"),
    "an offset nobody knows": purchase(occurred_at="2026-11-20T15:42:07-00:00"),
    "the widest offset": purchase(occurred_at="2026-11-20T15:42:07+23:59"),
    "29 February": purchase(date="2024-02-29"),
    "the calendar's first day": purchase(date="0001-01-01"),
    "the calendar's last day": purchase(date="9999-12-31"),
    "a UUID in capitals": purchase(event_id="5F0C1A4E-6A6E-4F7F-9F0E-2F3A8D1B7C10"),
    "a UUID of no version": purchase(event_id="00000000-0000-0000-0000-000000000000"),
    "the longest link": purchase(attachment={"url": "https://a.example/" + "a" * 2030}),
    "a link to an address": purchase(attachment={"url": "https://[::ffff:192.0.2.1]:443"}),
    "a link without a host": purchase(attachment={"url": "https:///a.pdf"}),
    "the largest amounts": purchase(lines=[debit("9999999999999.99"), credit("9999999999999.99")]),
    "one cent": purchase(lines=[debit("0.01"), credit("0000000000000.01")]),
    "5,000 lines": purchase(lines=[*[debit("1")] * 4999, credit("4999")]),
    "1,000,000 bytes": _sized(1_000_000),
}


@pytest.mark.parametrize("event", _GOOD.values(), ids=_GOOD)
def test_a_good_event_at_the_edge_of_the_contract_is_taken(event: JsonObject) -> None:
    assert _assert_one_verdict(event) == set()


def test_a_byte_over_a_megabyte_is_refused() -> None:
    assert _assert_one_verdict(_sized(1_000_001)) == {""}


@pytest.mark.parametrize("wrong", WRONG_EVENTS, ids=lambda wrong: wrong.name[:60])
def test_a_wrong_event_is_refused_with_the_path_of_each_fault(wrong: WrongEvent) -> None:
    assert _assert_one_verdict(wrong.spoil(purchase())) == wrong.paths


@pytest.mark.parametrize("event", [purchase(), foreign_purchase()], ids=["home", "foreign"])
def test_dropping_any_key_or_line_gets_the_same_verdict(event: JsonObject) -> None:
    for pointer in _pointers(event):
        _assert_one_verdict(drop(event, pointer))


def test_the_dropped_keys_are_all_that_the_contract_has() -> None:
    dropped = {
        re.sub("/[0-9]+", "/*", pointer)
        for event in (purchase(), foreign_purchase())
        for pointer in _pointers(event)
    }
    assert dropped == set(_schema_pointers(_SCHEMA, ""))


def test_the_contracts_patterns_hold_nothing_that_python_reads_otherwise() -> None:
    patterns = set(re.findall(r'"pattern": "((?:[^"\\]|\\.)*)"', json.dumps(_SCHEMA)))
    assert patterns
    for pattern in patterns:
        plain = pattern.replace(r"\\.", "").replace(r"\\S", "").removesuffix("$")
        assert "\\" not in plain
        assert "$" not in plain


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=60)
@given(events())
def test_any_good_event_is_taken(event: JsonObject) -> None:
    assert _assert_one_verdict(event) == set()


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=120)
@given(st.data())
def test_a_good_event_changed_at_random_gets_the_same_verdict(data: st.DataObject) -> None:
    event = data.draw(st.sampled_from([purchase(), foreign_purchase()]) | events())
    for _ in range(data.draw(st.integers(1, 4))):
        event = data.draw(_changed(event))
    _assert_one_verdict(event)


def _changed(event: JsonObject) -> st.SearchStrategy[JsonObject]:
    """One key or item dropped, added, or given another value."""
    places = list(_pointers(event))
    keys = sorted({last for place in places if not (last := place.rpartition("/")[2]).isdecimal()})
    holders = ["", *(place for place in places if isinstance(_at(event, place), dict))]
    put_somewhere = st.builds(
        lambda place, value: put(event, place, value), st.sampled_from(places), _ANYTHING
    )
    add_somewhere = st.builds(
        lambda holder, key, value: put(event, f"{holder}/{key}", value),
        *(st.sampled_from(holders), st.sampled_from(keys) | st.just("other"), _ANYTHING),
    )
    twist = st.builds(
        lambda place, how: put(event, place, how(_at(event, place))),
        *(st.sampled_from(places), st.sampled_from(_TWISTS)),
    )
    drop_somewhere = st.sampled_from(places).map(lambda place: drop(event, place))
    return st.one_of(put_somewhere, add_somewhere, twist, drop_somewhere)


def _twist_text(how: Any) -> Any:
    return lambda value: how(value) if isinstance(value, str) else value


_TWISTS = [
    _twist_text(lambda text: text + "\n"),
    _twist_text(lambda text: " " + text),
    _twist_text(str.upper),
    _twist_text(str.lower),
    _twist_text(lambda text: text[:-1]),
    _twist_text(lambda text: text * 2),
    _twist_text(lambda text: text.replace("-", "")),
    _twist_text(lambda text: text.translate({48 + n: 0x660 + n for n in range(10)})),
    _twist_text(lambda text: text[:1] + "\0" + text[1:]),
    _twist_text(lambda text: text[:1] + "\ud83e" + text[1:]),
    _twist_text(lambda text: "".join("0" if char.isdigit() else char for char in text)),
    lambda value: value * 2 if isinstance(value, list) else value,
    lambda value: [value],
    lambda value: {"code": value},
]
_ANYTHING: st.SearchStrategy[Any] = st.one_of(
    st.none() | st.booleans() | st.floats() | st.integers(-5, 10**20),
    st.sampled_from(["", " ", "0", "0.00", "100.00", "EUR", "USD", "A", "\ufeff", "\x1f", "\0"]),
    st.sampled_from(["2026-02-29", "2028-02-29", "2026-11-20T16:42:07Z", "https://[::1", "[]"]),
    st.text(st.characters(), max_size=70),
    st.builds(list) | st.builds(dict) | st.just([{}]) | st.just({"code": "X"}),
)


def _pointers(value: Any, at: str = "") -> Iterator[str]:
    """Of every key and item, those that hold others before what they hold."""
    items = enumerate(value) if isinstance(value, list) else value.items()
    for key, item in items:
        pointer = f"{at}{_pointer((key,))}"
        yield pointer
        if isinstance(item, (list, dict)):
            yield from _pointers(item, pointer)


def _at(value: Any, pointer: str) -> Any:
    for step in pointer.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        value = value[int(key)] if isinstance(value, list) else value[key]
    return value


def _schema_pointers(schema: JsonObject, at: str) -> Iterator[str]:
    for key, inner in schema.get("properties", {}).items():
        yield f"{at}/{key}"
        yield from _schema_pointers(inner, f"{at}/{key}")
    if "items" in schema:
        yield f"{at}/*"
        yield from _schema_pointers(schema["items"], f"{at}/*")
