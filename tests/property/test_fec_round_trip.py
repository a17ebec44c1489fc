import io
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerelle.fec.reader import read
from passerelle.fec.report import FecError, Report
from schemas.event import faults
from support.fec_files import FecEntry, FecFile, FecLine, fec_file, written

files = st.builds(
    fec_file,
    seed=st.integers(0, 2**32),
    entries=st.integers(1, 40),
    separator=st.sampled_from(["\t", "|"]),
    line_end=st.sampled_from(["\n", "\r\n"]),
    bom=st.booleans(),
    interleaved=st.booleans(),
)
# What may stand in a field: no separator, no line end; outer blanks are trimmed anyway.
texts = st.text(
    st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="|"), max_size=64
).map(str.strip)


def taken(content: bytes) -> tuple[list[dict[str, Any]], Report]:
    reading = read(io.BytesIO(content), "CABINET42", "DEMO000001")
    return list(reading.events), reading.report


def by_id(events: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {event["entry"]["id"]: event for event in events}


def written_back(event: dict[str, Any]) -> FecEntry:
    """The event in the file's words: what the file said, if nothing was lost."""
    entry = event["entry"]
    return FecEntry(
        journal=entry["journal"]["code"],
        journal_label=entry["journal"].get("label", ""),
        number=entry["id"].rsplit(":", 1)[1],
        date=entry["date"].replace("-", ""),
        piece_ref=entry["piece_ref"],
        piece_date=entry["document_date"].replace("-", ""),
        validated=event["occurred_at"][:10].replace("-", ""),
        lines=tuple(
            FecLine(
                account=line["account"],
                account_label=line.get("account_label", ""),
                description=line["description"],
                debit=int(Decimal(line["debit"]) * 100),
                credit=int(Decimal(line["credit"]) * 100),
                auxiliary=line.get("auxiliary", {}).get("code", ""),
                auxiliary_label=line.get("auxiliary", {}).get("label", ""),
                lettering=line.get("lettering", {}).get("code", ""),
            )
            for line in entry["lines"]
        ),
    )


def assert_sound(events: list[dict[str, Any]]) -> None:
    assert [faults(event) for event in events] == [[]] * len(events)
    assert len({event["event_id"] for event in events}) == len(by_id(events)) == len(events)


def assert_each_line_is_told_once(events: list[dict[str, Any]], report: Report) -> None:
    left_out = [line for finding in report.left_out for line in finding.lines]
    assert len(left_out) == len(set(left_out))
    came_out = sum(len(event["entry"]["lines"]) for event in events)
    assert came_out == sum(totals.lines for totals in report.journals.values())
    assert came_out + len(left_out) == report.lines


@given(files)
def test_what_a_file_says_comes_out_whole_valid_and_to_the_cent(file: FecFile) -> None:
    events, report = taken(file.content)
    assert_sound(events)
    assert sorted(map(written_back, events), key=str) == sorted(file.entries, key=str)
    assert report.lines == file.lines
    assert report.left_out == report.notes == []
    assert file.totals() == {
        code: (totals.entries, totals.lines, totals.debit, totals.credit)
        for code, totals in report.journals.items()
    }


@given(files)
def test_the_same_bytes_give_the_same_events(file: FecFile) -> None:
    assert taken(file.content) == taken(file.content)


@given(st.integers(0, 2**32), st.integers(1, 40))
def test_neither_the_way_of_writing_nor_the_neighbours_of_a_line_change_an_event(
    seed: int, entries: int
) -> None:
    plain = fec_file(seed, entries)
    other = fec_file(seed, entries, separator="|", line_end="\r\n", bom=True, interleaved=True)
    assert by_id(taken(plain.content)[0]) == by_id(taken(other.content)[0])


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
    lines = (
        FecLine("411000", label, descriptions[0], debit=cents, auxiliary=auxiliary),
        FecLine("706000", "", descriptions[1], credit=cents),
    )
    entry = FecEntry("VEN", label, "1", "20250101", piece_ref, "20250101", "20260331", lines)
    events, _ = taken(written([entry], separator="|").content)
    assert [written_back(event) for event in events] == [entry]


@given(files, st.data())
def test_a_lost_line_harms_its_own_entry_only(file: FecFile, data: st.DataObject) -> None:
    whole, _ = taken(file.content)
    lines = file.content.splitlines(keepends=True)
    del lines[data.draw(st.integers(1, file.lines))]
    events, report = taken(b"".join(lines))
    [finding] = report.left_out
    kept = by_id(whole)
    del kept[str(finding.entry_id)]
    assert by_id(events) == kept
    assert_each_line_is_told_once(events, report)


@given(files, st.data())
def test_whatever_happened_to_a_file_no_line_is_lost_silently(
    file: FecFile, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(file.content)))
    end = data.draw(st.integers(start, min(start + 30, len(file.content))))
    put = data.draw(st.one_of(st.text(max_size=10).map(str.encode), st.binary(max_size=10)))
    try:
        events, report = taken(file.content[:start] + put + file.content[end:])
    except FecError:
        return
    assert_sound(events)
    assert_each_line_is_told_once(events, report)


@given(st.binary())
def test_bytes_of_chance_are_refused_in_a_sentence(content: bytes) -> None:
    with pytest.raises(FecError) as refusal:
        read(io.BytesIO(content), "CABINET42", "DEMO000001")
    assert str(refusal.value).startswith("line ")
