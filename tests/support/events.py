"""Good events as the hub sends them: some literal ones, and any that the contract allows."""

import copy
import datetime as dt
import string
import uuid
from typing import Any

from hypothesis import strategies as st

JsonObject = dict[str, Any]

_TOP = {"event_id", "type", "schema_version", "occurred_at", "firm", "folder", "entry"}
_KINDS = ("purchase", "sale", "expense_report", "bank", "other")
_PAYMENT_MODES = (
    *("none", "cash", "cheque", "card", "transfer", "direct_debit"),
    *("tip", "lcr_bor", "lcr_magnetic", "draft", "remote_payment"),
)
# White space of ECMA-262.
BLANKS = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)


def purchase_name(number: int = 1, /, **changes: Any) -> JsonObject:
    """How the hub names `purchase(number)` when it lists what it has sent."""
    event = purchase(number)
    return {
        "firm": event["firm"],
        "folder": event["folder"],
        "entry_id": event["entry"]["id"],
        "revision": event["entry"]["revision"],
    } | changes


def purchase(number: int = 1, /, **changes: Any) -> JsonObject:
    """A purchase of three lines over 120.00; each number is another event and another entry.

    A change replaces a key of the event (`firm="X"`) or else of its entry (`revision=2`).
    """
    event: JsonObject = {
        "event_id": str(uuid.UUID(int=(0x5F0C1A4E << 96) + number)),
        "type": "entry.validated",
        "schema_version": 1,
        "occurred_at": "2026-11-20T16:42:07+01:00",
        "firm": "CABINET42",
        "folder": "DEMO000001",
        "entry": {
            "id": f"ach-2026-{number:06}",
            "revision": 1,
            "kind": "purchase",
            "journal": {"code": "ACH", "label": "Achats"},
            "date": "2026-11-18",
            "piece_ref": f"FA-2026-{number}",
            "document_date": "2026-11-17",
            "siret": "73282932000074",
            "currency": "EUR",
            "attachment": {
                "url": f"https://files.example.com/d/{number}.pdf?sig=abc",
                "filename": f"fa-2026-{number}.pdf",
                # No entry of a test waits so long.
                "expires_at": "2126-11-27T16:42:07+01:00",
            },
            "lines": [
                debit("100.00", account="606400", account_label="Fournitures administratives"),
                debit("20.00", account="445660", description="TVA déductible"),
                credit(
                    "120.00",
                    account="401000",
                    auxiliary={"code": "FPAPETERIE", "label": "Papeterie Générale du Sud-Ouest"},
                    due_date="2026-12-17",
                    operation_date="2026-11-18",
                    payment_mode="transfer",
                    lettering={"code": "AA", "date": "2026-11-19"},
                ),
            ],
        },
    }
    for key, value in changes.items():
        (event if key in _TOP else event["entry"])[key] = value
    return event


def with_auxiliary(number: int, code: str) -> JsonObject:
    """A purchase of two lines, the second of this third party."""
    lines = [debit("1.00"), credit("1.00", account="401000", auxiliary={"code": code})]
    return purchase(number, lines=lines)


def foreign_purchase(number: int = 1, /, **changes: Any) -> JsonObject:
    """A purchase in US dollars, with the amount and the rate on each of two lines."""
    money = {"currency_amount": "108.42", "currency_rate": "1.0842"}
    lines = [debit("100.00", **money), credit("100.00", account="401000", **money)]
    return purchase(number, **({"currency": "USD", "lines": lines} | changes))


def debit(amount: str, **changes: Any) -> JsonObject:
    return _line(amount, "0.00", changes)


def credit(amount: str, **changes: Any) -> JsonObject:
    return _line("0.00", amount, changes)


def _line(debit: str, credit: str, changes: JsonObject) -> JsonObject:
    line = {"account": "606400", "description": "Papeterie Générale fact. FA-2026-1187"}
    return line | {"debit": debit, "credit": credit} | changes


def put(event: JsonObject, pointer: str, value: Any) -> JsonObject:
    """A copy of the event with a value at a JSON Pointer, such as /entry/lines/0/debit."""
    copied = copy.deepcopy(event)
    holder, key = _find(copied, pointer)
    holder[key] = value
    return copied


def drop(event: JsonObject, pointer: str) -> JsonObject:
    """A copy of the event without what is at a JSON Pointer."""
    copied = copy.deepcopy(event)
    holder, key = _find(copied, pointer)
    del holder[key]
    return copied


def _find(event: Any, pointer: str) -> tuple[Any, Any]:
    keys = [key.replace("~1", "/").replace("~0", "~") for key in pointer.split("/")[1:]]
    *steps, last = [int(key) if key.isdecimal() else key for key in keys]
    for step in steps:
        event = event[step]
    return event, last


def siret(thirteen: str) -> str:
    """Thirteen digits with the one that makes them pass the Luhn check."""
    return next(thirteen + last for last in string.digits if _luhn_sum(thirteen + last) % 10 == 0)


def _luhn_sum(digits: str) -> int:
    weighed = (int(digit) * (2 if index % 2 else 1) for index, digit in enumerate(reversed(digits)))
    return sum(value - 9 if value > 9 else value for value in weighed)


def events() -> st.SearchStrategy[JsonObject]:
    """Any good event of moderate size."""
    return st.fixed_dictionaries(
        {
            "event_id": st.uuids().flatmap(lambda one: _either_case(str(one))),
            "type": st.just("entry.validated"),
            "schema_version": st.sampled_from([1, 1.0]),
            "occurred_at": moments(),
            "firm": visible_texts(64),
            "folder": visible_texts(64),
            "entry": entries(),
        }
    )


def texts(most: int, least: int = 0) -> st.SearchStrategy[str]:
    """Strings that PostgreSQL can hold."""
    characters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
    return st.text(characters, min_size=least, max_size=most)


def visible_texts(most: int) -> st.SearchStrategy[str]:
    return texts(most, 1).filter(lambda text: text.strip(BLANKS) != "")


def dates() -> st.SearchStrategy[str]:
    return st.dates().map(dt.date.isoformat)


@st.composite
def moments(draw: st.DrawFn) -> str:
    # Not the first and the last day of the calendar, where an offset may lead out of it.
    day = draw(st.dates(dt.date(1, 1, 3), dt.date(9999, 12, 29)))
    clock = draw(st.times()).replace(microsecond=0)
    fraction = draw(st.sampled_from(["", ".5", ".123456", ".000000001"]))
    sign, hours, minutes = draw(st.sampled_from("+-")), draw(st.integers(0, 23)), draw(_MINUTES)
    offset = draw(st.sampled_from(["Z", "z", f"{sign}{hours:02}:{minutes:02}"]))
    return f"{day}{draw(st.sampled_from('Tt'))}{clock}{fraction}{offset}"


_MINUTES = st.integers(0, 59)


def amounts(cents: int) -> st.SearchStrategy[str]:
    """The ways to write an amount."""
    whole, rest = divmod(cents, 100)
    forms = [f"{whole}.{rest:02}", f"{whole:013}.{rest:02}"]
    if rest % 10 == 0:
        forms.append(f"{whole}.{rest // 10}")
    if rest == 0:
        forms.append(f"{whole}")
    return st.sampled_from(forms)


def any_amounts() -> st.SearchStrategy[str]:
    return st.integers(0, 10**15 - 1).flatmap(amounts)


def links() -> st.SearchStrategy[str]:
    hosts = ["files.example.com", "u:p@h.example:8443", "[2001:db8::7]", "[v1.a:b]", "192.0.2.1:"]
    path = st.from_regex(r"(/[A-Za-z0-9._~!$&'()*+,;=:@%-]{0,9}){0,4}", fullmatch=True)
    query = st.from_regex(r"(\?[A-Za-z0-9/?=&%-]{0,20})?(#[A-Za-z0-9/?]{0,5})?", fullmatch=True)
    link = st.builds("https://{}{}{}".format, st.sampled_from(hosts), path, query)
    return link.map(lambda text: text.replace("%", "%2F"))


@st.composite
def entries(draw: st.DrawFn) -> JsonObject:
    currency = draw(st.sampled_from([None, "EUR", "USD", "XPF"]))
    optional: JsonObject = {
        "document_date": dates(),
        "siret": st.text(string.digits, min_size=13, max_size=13).map(siret),
        "attachment": st.fixed_dictionaries(
            {"url": links()}, optional={"filename": texts(255), "expires_at": moments()}
        ),
    }
    entry: JsonObject = draw(
        st.fixed_dictionaries(
            {
                "id": visible_texts(64),
                "revision": st.integers(1, 1_000_000),
                "kind": st.sampled_from(_KINDS),
                "journal": _labelled(texts(16, 1)),
                "date": dates(),
                "piece_ref": visible_texts(64),
            },
            optional=optional,
        )
    )
    if currency is not None:
        entry["currency"] = currency
    entry["lines"] = draw(_balanced(foreign=currency not in {None, "EUR"}))
    return entry


@st.composite
def _balanced(draw: st.DrawFn, *, foreign: bool) -> list[JsonObject]:
    signed = draw(
        st.lists(
            st.integers(-(10**12), 10**12).filter(lambda cents: cents != 0), min_size=1, max_size=5
        )
    )
    if sum(signed) != 0:
        signed.append(-sum(signed))
    return [draw(_lines(cents, foreign=foreign)) for cents in signed]


@st.composite
def _lines(draw: st.DrawFn, cents: int, *, foreign: bool) -> JsonObject:
    line: JsonObject = draw(
        st.fixed_dictionaries(
            {
                "account": st.from_regex("[0-9A-Za-z]{1,32}", fullmatch=True),
                "description": texts(40) | st.just("é" * 1000),
                "debit": amounts(max(cents, 0)),
                "credit": amounts(max(-cents, 0)),
            },
            optional={
                "account_label": texts(255),
                "auxiliary": _labelled(visible_texts(64)),
                "due_date": dates(),
                "operation_date": dates(),
                "payment_mode": st.sampled_from(_PAYMENT_MODES),
                "lettering": st.fixed_dictionaries(
                    {"code": texts(32, 1)}, optional={"date": dates()}
                ),
            },
        )
    )
    if foreign and draw(st.booleans()):
        line["currency_amount"] = draw(any_amounts())
        line["currency_rate"] = draw(st.from_regex(r"[0-9]{1,9}(\.[0-9]{1,9})?", fullmatch=True))
    return line


def _labelled(code: st.SearchStrategy[str]) -> st.SearchStrategy[JsonObject]:
    return st.fixed_dictionaries({"code": code}, optional={"label": texts(255)})


def _either_case(text: str) -> st.SearchStrategy[str]:
    return st.sampled_from([text, text.upper()])
