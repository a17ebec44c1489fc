import datetime as dt
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerelle.fec.report import FecError
from passerelle.fec.sample import Dialect, SampleEntry, SampleLine, fec_file, sample_entries
from schemas.event import faults
from support.fec_files import (
    Taken,
    assert_each_line_is_told_once,
    by_id,
    taken,
    totals_of,
    totals_told,
    written_back,
)

samples = st.builds(
    lambda seed, count: list(sample_entries(seed, count)),
    seed=st.integers(0, 2**32),
    count=st.integers(2, 40),
)
dialects = st.builds(
    Dialect,
    separator=st.sampled_from("\t|;"),
    encoding=st.sampled_from(["utf-8", "iso8859-15", "cp1252"]),
    line_end=st.sampled_from(["\n", "\r\n", "\r\r\n"]),
    trailing_in_header=st.booleans(),
    trailing_in_lines=st.booleans(),
    pad=st.integers(0, 2),
    decimal_mark=st.sampled_from(",."),
    amount_width=st.integers(0, 13),
    zero=st.sampled_from([None, "", "0"]),
)
# What may stand in a field: no separator, no line end; outer blanks are trimmed anyway.
texts = st.text(
    st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="|"), max_size=64
).map(str.strip)


def assert_sound(found: Taken) -> None:
    events = found.events
    assert [faults(event) for event in events] == [[]] * len(events)
    assert len({event["event_id"] for event in events}) == len(by_id(events)) == len(events)


def numbers_tell(entries: list[SampleEntry]) -> bool:
    return len({(entry.journal, entry.number) for entry in entries}) > len(
        {entry.journal for entry in entries}
    )


@given(samples, dialects)
def test_what_a_file_says_comes_out_whole_valid_and_to_the_cent(
    entries: list[SampleEntry], dialect: Dialect
) -> None:
    found = taken(fec_file(entries, dialect))
    assert_sound(found)
    assert sorted(map(written_back, found.events), key=str) == sorted(entries, key=str)
    assert found.lines == sum(len(entry.lines) for entry in entries)
    assert found.left_out == found.notes == []
    assert totals_told(found) == totals_of(entries)


@given(samples)
def test_the_same_bytes_give_the_same_events(entries: list[SampleEntry]) -> None:
    assert taken(fec_file(entries)).events == taken(fec_file(entries)).events


@given(samples, st.integers(0, 2**32), st.integers(1, 40))
def test_an_entry_is_the_same_in_a_newer_export(
    entries: list[SampleEntry], seed: int, known: int
) -> None:
    older = entries[:known]
    if not numbers_tell(older):
        return
    random.Random(seed).shuffle(entries)
    before, after = by_id(taken(fec_file(older)).events), by_id(taken(fec_file(entries)).events)
    assert before.items() <= after.items()


@given(
    label=texts,
    piece_ref=texts.filter(bool),
    descriptions=st.tuples(texts, texts),
    auxiliary=texts,
    cents=st.integers(1, 10**15 - 1),
)
def test_any_text_and_any_amount_comes_out_as_it_stands(
    label: str, piece_ref: str, descriptions: tuple[str, str], auxiliary: str, cents: int
) -> None:
    day = dt.date(2025, 1, 1)
    lines = (
        SampleLine("411000", label, descriptions[0], debit=cents, auxiliary=auxiliary),
        SampleLine("706000", "", descriptions[1], credit=cents),
    )
    entry = SampleEntry("VEN", label, "1", day, piece_ref, day, dt.date(2026, 3, 31), lines)
    found = taken(fec_file([entry], Dialect(separator="|")))
    assert [written_back(event) for event in found.events] == [entry]


@given(samples, st.data())
def test_whatever_happened_to_a_file_no_line_is_lost_silently(
    entries: list[SampleEntry], data: st.DataObject
) -> None:
    content = fec_file(entries)
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, min(start + 30, len(content))))
    put = data.draw(st.one_of(st.text(max_size=10).map(str.encode), st.binary(max_size=10)))
    try:
        found = taken(content[:start] + put + content[end:])
    except FecError:
        return
    assert_sound(found)
    assert_each_line_is_told_once(found)


@given(st.binary())
def test_bytes_of_chance_are_refused_in_a_sentence(content: bytes) -> None:
    with pytest.raises(FecError) as refusal:
        taken(content)
    assert str(refusal.value).startswith("line ")
