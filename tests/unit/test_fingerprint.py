import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from passerelle.domain.fingerprint import entry_fingerprint, event_fingerprint
from schemas.event import build, faults
from support.events import JsonObject, drop, foreign_purchase, purchase, put

_EXAMPLE = Path(__file__).parents[2] / "schemas/examples/purchase.json"


def _of_event(raw: JsonObject) -> bytes:
    assert faults(raw) == []
    return event_fingerprint(build(raw))


def _of_entry(raw: JsonObject) -> bytes:
    assert faults(raw) == []
    return entry_fingerprint(build(raw).entry)


def test_the_fingerprints_in_the_database_stay_valid() -> None:
    event = build(json.loads(_EXAMPLE.read_text("utf-8")))
    assert event_fingerprint(event).hex() == (
        "2da9343eaf4b6174dcfbc57f5fe5d87cccb40ce6042e78ef5abad00a06fbdc93"
    )
    assert entry_fingerprint(event.entry).hex() == (
        "80284cb83e2d64c8b8afa08cad56e14da1e910557539c157037975d80ac84560"
    )


_LINE = "/entry/lines/0"


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        (f"{_LINE}/debit", "100"),
        (f"{_LINE}/debit", "100.0"),
        (f"{_LINE}/debit", "0000000000100.00"),
        (f"{_LINE}/credit", "0"),
        (f"{_LINE}/currency_amount", "0108.42"),
        (f"{_LINE}/currency_rate", "01.08420"),
        ("/occurred_at", "2026-11-20T15:42:07Z"),
        ("/occurred_at", "2026-11-20t21:12:07.000+05:30"),
        ("/entry/attachment/expires_at", "2126-11-27T15:42:07.0Z"),
        ("/event_id", foreign_purchase()["event_id"].upper()),
        ("/entry/revision", 1.0),
        ("/schema_version", 1.0),
    ],
)
def test_another_way_of_writing_the_same_is_the_same(pointer: str, value: Any) -> None:
    raw = foreign_purchase()
    again = put(raw, pointer, value)
    assert _of_event(again) == _of_event(raw)
    assert _of_entry(again) == _of_entry(raw)


def test_the_default_currency_is_the_same_as_euro() -> None:
    raw = purchase()
    assert _of_event(drop(raw, "/entry/currency")) == _of_event(raw)


def _turned(value: Any) -> Any:
    """The same with every object's keys the other way round."""
    if isinstance(value, dict):
        return {key: _turned(value[key]) for key in reversed(value)}
    return [_turned(item) for item in value] if isinstance(value, list) else value


def test_decimals_that_are_equal_are_the_same() -> None:
    entry = build(foreign_purchase()).entry
    lines = tuple(replace(line, currency_amount=Decimal("108.420")) for line in entry.lines)
    assert entry_fingerprint(replace(entry, lines=lines)) == entry_fingerprint(entry)


def test_the_order_of_keys_is_no_meaning() -> None:
    assert _of_event(_turned(purchase())) == _of_event(purchase())


def test_the_order_of_lines_is() -> None:
    raw = purchase()
    turned = put(raw, "/entry/lines", raw["entry"]["lines"][::-1])
    assert _of_entry(turned) != _of_entry(raw)


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/entry/id", "ach-2"),
        ("/entry/revision", 2),
        ("/entry/kind", "sale"),
        ("/entry/journal/code", "ACH2"),
        ("/entry/journal/label", ""),
        ("/entry/date", "2026-11-19"),
        ("/entry/piece_ref", "fa-2026-1"),
        ("/entry/document_date", "2026-11-18"),
        ("/entry/siret", "73282932000082"),
        ("/entry/currency", "CHF"),
        (f"{_LINE}/account", "606401"),
        (f"{_LINE}/account_label", "Fournitures"),
        (f"{_LINE}/description", "Papeterie G\u0065\u0301n\u00e9rale"),
        (f"{_LINE}/currency_amount", "108.43"),
        (f"{_LINE}/currency_rate", "10.842"),
        (f"{_LINE}/auxiliary", {"code": "F"}),
        (f"{_LINE}/due_date", "2026-12-17"),
        (f"{_LINE}/operation_date", "2026-12-17"),
        (f"{_LINE}/payment_mode", "cash"),
        (f"{_LINE}/lettering", {"code": "AA"}),
        (f"{_LINE}/lettering", {"code": "AA", "date": "2026-12-17"}),
    ],
)
def test_another_content_is_another_entry(pointer: str, value: Any) -> None:
    raw = foreign_purchase()
    assert _of_entry(put(raw, pointer, value)) != _of_entry(raw)
    assert _of_event(put(raw, pointer, value)) != _of_event(raw)


def test_amounts_a_cent_apart_are_others() -> None:
    raw = foreign_purchase()
    more = put(put(raw, f"{_LINE}/debit", "100.01"), "/entry/lines/1/credit", "100.01")
    assert _of_entry(more) != _of_entry(raw)


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/event_id", "5f0c1a4e-6a6e-4f7f-9f0e-2f3a8d1b7c10"),
        ("/occurred_at", "2026-11-20T16:42:07.000001+01:00"),
        ("/firm", "CABINET43"),
        ("/folder", "DEMO000002"),
        ("/entry/attachment/url", "https://files.example.com/d/1.pdf?sig=def"),
        ("/entry/attachment/filename", "facture.pdf"),
        ("/entry/attachment/expires_at", "2026-12-27T16:42:07+01:00"),
    ],
)
def test_another_sender_or_link_is_another_event_about_the_same_entry(
    pointer: str, value: Any
) -> None:
    raw = purchase()
    assert _of_event(put(raw, pointer, value)) != _of_event(raw)
    assert _of_entry(put(raw, pointer, value)) == _of_entry(raw)


def test_what_moves_from_one_field_to_the_next_is_seen() -> None:
    pairs = [("AB", "C"), ("A", "BC"), ('A","folder":"B', "C"), ("A", 'B","firm":"C')]
    assert len({_of_event(purchase(firm=firm, folder=folder)) for firm, folder in pairs}) == 4


def test_an_absent_label_is_not_an_empty_one() -> None:
    raw = purchase()
    absent = drop(raw, "/entry/journal/label")
    assert _of_entry(absent) != _of_entry(put(raw, "/entry/journal/label", ""))


def test_a_rate_of_ten_is_not_a_rate_of_one() -> None:
    raw = foreign_purchase()
    prints = {
        _of_entry(put(raw, f"{_LINE}/currency_rate", rate))
        for rate in ("1", "10", "100", "0.1", "0.01", "1.1", "11")
    }
    assert len(prints) == 7
