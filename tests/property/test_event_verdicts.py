"""Whatever a decoder gives: a verdict, soon, in words that a database can hold."""

import datetime as dt
import json
import time
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError

from passerelle.domain.event import Fault
from schemas.event import EVENT, build, build_entry, faults
from schemas.shapes import MOST_FAULTS, MOST_KEYS
from support.events import JsonObject, drop, events, foreign_purchase, purchase, put

_KEYS = (
    *("event_id", "type", "schema_version", "occurred_at", "firm", "folder", "entry", "id"),
    *("revision", "kind", "journal", "code", "label", "date", "piece_ref", "lines", "attachment"),
    *("account", "description", "debit", "credit", "currency_amount", "_schema", "__type__"),
)
# JSON, and what kombu's decoder makes of a `__type__`.
_scalars: st.SearchStrategy[Any] = st.one_of(
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | st.builds(pow, st.just(10), st.just(5000)),
    st.text(st.characters(), max_size=20) | st.sampled_from(_KEYS),
    st.datetimes() | st.dates() | st.times() | st.uuids() | st.decimals() | st.binary(max_size=9),
)
_keys = st.sampled_from(_KEYS) | st.text(st.characters(), max_size=5)
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner) | st.dictionaries(_keys, inner), max_leaves=20
)
_places = st.sampled_from(
    [
        *("/event_id", "/type", "/schema_version", "/occurred_at", "/firm", "/entry", "/other"),
        *("/entry/revision", "/entry/kind", "/entry/journal", "/entry/date", "/entry/siret"),
        *("/entry/currency", "/entry/attachment", "/entry/attachment/url", "/entry/lines"),
        *("/entry/lines/1", "/entry/lines/1/debit", "/entry/lines/1/account"),
        *("/entry/lines/2/auxiliary", "/entry/lines/2/lettering", "/entry/lines/2/due_date"),
    ]
)


def _assert_fit_to_be_kept(found: list[Fault]) -> None:
    assert len(found) <= MOST_FAULTS + 1
    for fault in found:
        assert fault.path == "" or fault.path.startswith("/")
        assert len(fault.path) < 1000
        assert 0 < len(fault.message) < 1000
        assert "\0" not in fault.path + fault.message
        (fault.path + fault.message).encode("utf-8")


@given(_values)
def test_anything_in_place_of_an_event_gets_a_verdict(raw: Any) -> None:
    found = faults(raw)
    assert found
    _assert_fit_to_be_kept(found)


@settings(deadline=None)
@given(_places, _values)
def test_anything_in_place_of_a_part_of_an_event_gets_a_verdict(place: str, value: Any) -> None:
    _assert_fit_to_be_kept(faults(put(purchase(), place, value)))


@settings(deadline=None)
@given(_places, _values)
def test_the_quick_look_sees_a_fault_where_there_is_one_and_nowhere_else(
    place: str, value: Any
) -> None:
    raw = put(purchase(), place, value)
    try:
        EVENT.read(raw)
    except ValidationError:
        assert EVENT.validate(raw)
    else:
        assert EVENT.validate(raw) == {}


@given(events())
def test_the_quick_look_reads_a_good_event_as_marshmallow_does(raw: JsonObject) -> None:
    assert EVENT.read(raw) == EVENT.load(raw)


def _nested_lists(depth: int) -> Any:
    nest: Any = []
    for _ in range(depth):
        nest = [nest]
    return nest


def _nested_objects(depth: int, key: str) -> Any:
    nest: Any = {}
    for _ in range(depth):
        nest = {key: nest}
    return nest


_HOSTILE: dict[str, tuple[str, Callable[[], Any]]] = {
    "10,000 levels of lists": ("/entry/lines/0/description", lambda: _nested_lists(10_000)),
    "10,000 levels of lists for lines": ("/entry/lines", lambda: _nested_lists(10_000)),
    "10,000 levels of lines": ("/entry", lambda: _nested_objects(10_000, "lines")),
    "10,000 levels of entries": ("/entry", lambda: _nested_objects(10_000, "entry")),
    "10,000 levels under another key": ("/other", lambda: _nested_objects(10_000, "other")),
    "100,000 other keys": ("/entry/journal", lambda: {f"k{n}": n for n in range(100_000)}),
    "a million lines": ("/entry/lines", lambda: [{}] * 1_000_000),
    "a million numbers": ("/other", lambda: [0] * 1_000_000),
    "5,000 lines without anything": ("/entry/lines", lambda: [{}] * 5_000),
    "5,000 lines that are null": ("/entry/lines", lambda: [None] * 5_000),
    "a key of 10 MB": ("/" + "k" * 10_000_000, lambda: 1),
    "a key of 10 MB above 1,000 keys": ("/" + "k" * 10_000_000, lambda: dict.fromkeys(range(999))),
    "a description of 10 MB": ("/entry/lines/0/description", lambda: "é" * 5_000_000),
    "blanks of 10 MB": ("/firm", lambda: " " * 10_000_000),
    "a debit of 10 MB": ("/entry/lines/0/debit", lambda: "1" * 10_000_000),
    "an account of 10 MB": ("/entry/lines/0/account", lambda: "6" * 10_000_000 + "\n"),
    "a rate of 10 MB": ("/entry/lines/0/currency_rate", lambda: "1" * 10_000_000 + "."),
    "a fraction of a second of 10 MB": (
        "/occurred_at",
        lambda: f"2026-11-20T16:42:07.{'1' * 10**7}",
    ),
    "a link of 10 MB": ("/entry/attachment/url", lambda: "https://" + "a" * 10_000_000),
    "a link all of dots": ("/entry/attachment/url", lambda: "https://" + "." * 2030 + "\n"),
    "10 MB of U+0000": ("/entry/lines/0/description", lambda: "\0" * 10_000_000),
    "an integer of a million digits": ("/entry/revision", lambda: 1 << 3_321_928),
    "a decimal with a huge exponent": ("/entry/lines/0/debit", lambda: Decimal("1e999999")),
}


@pytest.mark.parametrize(("place", "make"), _HOSTILE.values(), ids=_HOSTILE)
def test_what_was_made_to_hurt_is_refused_soon(place: str, make: Callable[[], Any]) -> None:
    # Not by `put`, which copies and so would recurse itself.
    event = purchase()
    holder: Any = event
    *steps, last = place.split("/")[1:]
    for step in steps:
        holder = holder[int(step)] if step.isdecimal() else holder[step]
    holder[last] = make()
    began = time.process_time()
    found = faults(event)
    assert time.process_time() - began < 5
    assert found
    _assert_fit_to_be_kept(found)


def test_a_hundred_faults_are_told_and_the_rest_counted() -> None:
    raw = purchase(lines=[{}] * 100)
    found = faults(raw)
    assert len(found) == MOST_FAULTS + 1
    assert found[-1] == Fault("", "has at least 300 more faults")


def test_lines_beyond_a_hundred_faulty_ones_are_not_looked_at() -> None:
    found = faults(purchase(lines=[None] * 4000 + [{}]))
    assert len(found) == MOST_FAULTS
    assert found[-1].path == "/entry/lines/99"


def test_a_host_of_keys_is_one_fault() -> None:
    keys = dict.fromkeys(map(str, range(MOST_KEYS + 1)))
    assert [fault.path for fault in faults(keys)] == [""]
    assert [fault.path for fault in faults(purchase(journal=keys))] == ["/entry/journal"]
    assert [fault.path for fault in faults(purchase(lines=[keys, None]))] == [
        "/entry/lines/0",
        "/entry/lines/1",
    ]


def test_the_order_of_faults_does_not_hang_on_the_order_of_keys() -> None:
    raw = {f"key {number}": 1 for number in range(50)} | purchase(lines=[None] * 12)
    found = faults(raw)
    assert found == faults(dict(reversed(raw.items())))
    lines = [fault.path for fault in found if fault.path.startswith("/entry/lines/")]
    assert lines == [f"/entry/lines/{index}" for index in range(12)]


def test_a_fault_never_repeats_a_signed_link() -> None:
    for url in ("http://files.example.com/?sig=SECRET", "https://a b/?sig=SECRET", ["SECRET"]):
        for fault in faults(put(purchase(), "/entry/attachment/url", url)):
            assert "SECRET" not in fault.message


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(events())
def test_the_event_says_what_the_raw_one_says(raw: JsonObject) -> None:
    event = build(raw)
    assert event.event_id == uuid.UUID(raw["event_id"])
    assert event.occurred_at.tzinfo is dt.UTC
    assert event.occurred_at == dt.datetime.fromisoformat(raw["occurred_at"].upper())
    assert type(event.entry.revision) is int
    assert event.entry.date.isoformat() == raw["entry"]["date"]
    assert event.entry.currency == raw["entry"].get("currency", "EUR")
    for line, said in zip(event.entry.lines, raw["entry"]["lines"], strict=True):
        for amount, text in ((line.debit, said["debit"]), (line.credit, said["credit"])):
            assert amount == Decimal(text)
            assert amount.as_tuple().exponent == -2
        assert line.description == said["description"]
        assert (line.currency_amount is None) == ("currency_amount" not in said)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=50)
@given(events())
def test_an_event_is_the_same_after_it_was_stored(raw: JsonObject) -> None:
    stored = json.loads(json.dumps(raw))
    assert build(stored) == build(raw)
    assert build_entry(stored["entry"]) == build(raw).entry


def test_nothing_that_the_hub_may_leave_out_is_needed() -> None:
    raw = foreign_purchase()
    for pointer in ("document_date", "siret", "attachment"):
        raw = drop(raw, f"/entry/{pointer}")
    entry = build(drop(raw, "/entry/journal/label")).entry
    assert (entry.document_date, entry.siret, entry.attachment) == (None, None, None)
    assert entry.journal.label is None
