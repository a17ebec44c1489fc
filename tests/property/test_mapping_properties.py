import itertools
import json
import re
import unicodedata
from dataclasses import replace
from decimal import Decimal

import regex
from hypothesis import given
from hypothesis import strategies as st

from passerelle.domain.event import (
    Attachment,
    Auxiliary,
    Entry,
    Journal,
    Kind,
    Lettering,
    Line,
    PaymentMode,
)
from passerelle.domain.limits import Limits
from passerelle.domain.mapping import (
    Destination,
    auxiliary_code,
    map_entry,
    short_auxiliary,
)
from passerelle.domain.text import cut, normalise
from schemas.loop import dump_line, encode, encode_import

LIMITS = Limits(
    description=35, auxiliary_code=17, reference=35, batch_lines=500, batch_bytes=1_000_000
)

# Marks, joiners, flags, syllables in pieces, number signs, blanks, controls, and a little ASCII.
HARD = st.sampled_from(
    "aeE1\u0301\u0302\u0323\u200d\u200c\U0001f468\U0001f469\ufe0f\U0001f1eb\U0001f1f7\u1112\u1161"
    "\u11ab\u0600 \u00a0\u202f\u2028\t\n\x01\x7f\x85\u00ad\u200b\ufeff\u0915\u094d\U000e0067"
)
ANY = st.characters(min_codepoint=1, exclude_categories=["Cs"])


def texts(longest: int, shortest: int = 0) -> st.SearchStrategy[str]:
    """Any length, and often one that is to be cut."""
    return (
        st.text(HARD, min_size=shortest, max_size=longest)
        | st.text(HARD, min_size=longest * 2 // 3, max_size=longest)
        | st.text(ANY, min_size=shortest, max_size=longest)
    )


def filled(longest: int) -> st.SearchStrategy[str]:
    """What the event's schema asks of names: something that is no white space."""
    return texts(longest, 1).filter(lambda text: re.search(r"[^\s\ufeff]", text))


ZERO = Decimal("0.00")
CENTS = st.integers(1, 10**15 - 1).map(lambda cents: Decimal(cents).scaleb(-2))
AMOUNTS = CENTS | st.just(ZERO)
RATES = st.from_regex(r"[0-9]{1,4}(\.[0-9]{1,8})?", fullmatch=True, alphabet="0123456789.")
DATES = st.none() | st.dates()
LABELS = st.none() | texts(40)
NAMES = filled(64)
LINES = st.builds(
    Line,
    account=st.from_regex(r"[0-9A-Za-z]{1,32}", fullmatch=True),
    description=texts(80),
    debit=st.just(ZERO),
    credit=st.just(ZERO),
    account_label=LABELS,
    auxiliary=st.none() | st.builds(Auxiliary, NAMES),
    due_date=DATES,
    operation_date=DATES,
    payment_mode=st.none() | st.sampled_from(PaymentMode),
    lettering=st.none() | st.builds(Lettering, texts(32, 1), DATES),
)
FOREIGN = st.none() | st.tuples(AMOUNTS, RATES)
# Each pair is a debit and a credit of the same amount, so that the whole balances.
PAIRS = st.lists(st.tuples(CENTS, LINES, LINES, FOREIGN), min_size=1, max_size=3)
ENTRIES = st.builds(
    Entry,
    id=NAMES,
    revision=st.integers(1, 1_000_000),
    kind=st.sampled_from(Kind),
    journal=st.builds(Journal, texts(16, 1), LABELS),
    date=st.dates(),
    piece_ref=NAMES,
    lines=st.just(()),
    document_date=DATES,
    siret=st.sampled_from([None, "73282932000074"]),
    currency=st.sampled_from(["EUR", "USD"]),
    attachment=st.none() | st.just(Attachment("https://files.example.com/a.pdf")),
)


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    entry = draw(ENTRIES)
    lines = []
    for amount, debit, credit, foreign in draw(PAIRS):
        told, rate = (None, None) if foreign is None or entry.currency == "EUR" else foreign
        lines.append(replace(debit, debit=amount, currency_amount=told, currency_rate=rate))
        lines.append(replace(credit, credit=amount))
    return replace(entry, lines=tuple(draw(st.permutations(lines))))


DESTINATIONS = st.builds(
    Destination,
    firm=NAMES,
    folder=NAMES,
    limits=st.just(LIMITS),
    send_origin=st.booleans(),
    loop_codes=st.just({}),
    accounts=st.just({}),
)


@given(entries(), DESTINATIONS)
def test_every_valid_entry_maps_within_loops_limits(entry: Entry, destination: Destination) -> None:
    for line in map_entry(entry, destination).lines:
        assert 1 <= len(line.description) <= 35
        assert 1 <= len(line.reference) <= 35
        assert line.auxiliary is None or 1 <= len(line.auxiliary) <= 17
        for text in (
            line.description,
            line.reference,
            line.auxiliary,
            line.comment,
            line.journal,
            line.journal_label,
            line.account_label,
            line.lettering,
        ):
            assert text is None or not any(
                unicodedata.category(character) in {"Cc", "Zl", "Zp"} for character in text
            )


@given(entries(), DESTINATIONS)
def test_no_line_is_lost_and_no_cent(entry: Entry, destination: Destination) -> None:
    mapped = map_entry(entry, destination)
    lines = encode([dump_line(line) for line in mapped.lines])
    body = encode_import(destination.folder, [lines], create_accounts=False)
    sent = json.loads(body, parse_float=Decimal)["data"]["ecritures"]
    assert [
        (line["compte"], line["debit"]["amount"], line["credit"]["amount"]) for line in sent
    ] == [(line.account, line.debit, line.credit) for line in entry.lines]
    assert sum(line["debit"]["amount"] for line in sent) == sum(
        line["credit"]["amount"] for line in sent
    )
    for told, line in zip(entry.lines, sent, strict=True):
        moved, still = ("debit", "credit") if told.debit else ("credit", "debit")
        assert line[still]["amount"] == line[still]["currencyAmount"] == 0
        assert line[still]["currency"] == line[moved]["currency"]
        if told.currency_amount is None:
            assert line[moved]["currencyAmount"] == line[moved]["amount"]
            assert (line[moved]["currency"], line[moved]["currencyRate"]) == ("EUR", "1.0")
        else:
            assert line[moved]["currencyAmount"] == told.currency_amount
            assert line[moved]["currencyRate"] == told.currency_rate


@given(entries(), DESTINATIONS)
def test_an_entry_is_one_thing_in_loop(entry: Entry, destination: Destination) -> None:
    lines = map_entry(entry, destination).lines
    keys = {(line.origin, line.journal, line.date, line.reference, line.siret) for line in lines}
    assert len(keys) == 1
    attached = [line.attachment for line in lines if line.attachment is not None]
    assert len(attached) == (entry.attachment is not None)


@given(entries(), DESTINATIONS)
def test_a_cut_is_recorded_exactly_where_something_went(
    entry: Entry, destination: Destination
) -> None:
    mapped = map_entry(entry, destination)
    recorded = {(cut.line, cut.field): (cut.from_, cut.to) for cut in mapped.cuts}
    assert len(recorded) == len(mapped.cuts)
    expected: dict[tuple[int, str], tuple[str, str | None]] = {}
    for number, (told, line) in enumerate(zip(entry.lines, mapped.lines, strict=True)):
        piece = normalise(entry.piece_ref)
        if number == 0 and piece and piece != line.reference:
            expected[0, "piece_ref"] = (piece, line.reference)
        whole = normalise(told.description) or piece
        if whole and whole != line.description:
            expected[number, "description"] = (whole, line.description)
            assert line.comment == whole
        else:
            assert line.comment is None
        code = normalise(told.auxiliary.code) if told.auxiliary else ""
        if code and code != line.auxiliary:
            expected[number, "auxiliary.code"] = (code, line.auxiliary)
    assert recorded == expected


@given(filled(64))
def test_a_short_code_is_the_front_of_the_code(code: str) -> None:
    whole = auxiliary_code(code)
    short = short_auxiliary(whole, LIMITS)
    assert whole.startswith(short)
    assert (short == whole) is (len(whole) <= 17)
    assert short_auxiliary(auxiliary_code(short), LIMITS) == short


@given(texts(60))
def test_normalising_twice_is_normalising_once(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert once == " ".join(once.split())


@given(texts(60), st.integers(1, 40))
def test_a_cut_never_splits_a_grapheme(text: str, limit: int) -> None:
    whole = normalise(text)
    kept = cut(whole, limit)
    assert whole.startswith(kept)
    assert len(kept) <= limit
    assert bool(kept) is bool(whole)
    assert kept == kept.strip()
    ends = list(itertools.accumulate(map(len, regex.findall(r"\X", whole))))
    good = [end for end in ends if end <= limit and not whole[end - 1].isspace()]
    if good:
        # As much as fits, in whole graphemes.
        assert len(kept) == max(good)
