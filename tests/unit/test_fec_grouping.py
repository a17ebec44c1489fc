"""Which lines are an entry where no number tells."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerelle.fec.entries import Choices
from passerelle.fec.grouping import Movement, group_movements
from passerelle.fec.report import Reason
from support.fec_files import Taken, assert_each_line_is_told_once, taken
from support.fec_files import literal_file as content
from support.fec_files import payroll_line as line


def movements(*told: tuple[str, int | None]) -> list[Movement]:
    return [
        Movement(place, piece, None if amount is None else Decimal(amount))
        for place, (piece, amount) in enumerate(told)
    ]


def test_lines_of_one_piece_are_an_entry_if_they_balance() -> None:
    found = group_movements(movements(("A", 5), ("B", 7), ("A", -5), ("B", -7)))
    assert found.pieces == {"A": [0, 2], "B": [1, 3]}
    assert (found.runs, found.left) == ([], [])
    assert found.is_pieces


def test_the_others_are_an_entry_as_soon_as_they_balance() -> None:
    found = group_movements(movements(("A", 5), ("", -5), ("B", 7), ("C", -3), ("", -4)))
    assert found.pieces == {}
    assert found.runs == [[0, 1], [2, 3, 4]]


def test_what_is_left_is_no_entry() -> None:
    found = group_movements(movements(("", 5), ("", -5), ("", 7), ("", -3)))
    assert (found.runs, found.left) == ([[0, 1]], [[2, 3]])


def test_a_run_does_not_go_on_behind_lines_of_another_entry() -> None:
    found = group_movements(movements(("", 5), ("A", 1), ("A", -1), ("", -5)))
    assert (found.pieces, found.runs, found.left) == ({"A": [1, 2]}, [], [[0], [3]])


def test_a_run_does_not_go_on_behind_a_line_that_cannot_be_read() -> None:
    found = group_movements(movements(("", 5), ("", None), ("", -5), ("", 2), ("", 2)))
    assert (found.runs, found.left) == ([], [[0], [2, 3, 4]])


@given(
    st.lists(
        st.tuples(st.sampled_from(["", "A", "B", "C"]), st.none() | st.integers(-3, 3)), max_size=30
    )
)
def test_each_line_is_in_one_place_and_each_entry_balances(told: list[tuple[str, int]]) -> None:
    lines = movements(*told)
    found = group_movements(lines)
    entries = [*found.pieces.values(), *found.runs]
    placed = [place for places in (*entries, *found.left) for place in places]
    assert sorted(placed) == [one.line for one in lines if one.amount is not None]
    for places in entries:
        assert sum(lines[place].amount or 0 for place in places) == 0


# In a file.

NUMBERS = ["", "0", "000", "1", "00000001"]


def two_sides(amount: str, **columns: str) -> list[str]:
    return [
        line(Debit=amount, Credit="", **columns),
        line(CompteNum="421000", Debit="", Credit=amount, **columns),
    ]


def file(number: str, *more: str, pieces: tuple[str, ...] = ("P1", "P2", "P3")) -> bytes:
    rows = [
        row
        for day in ("20251130", "20251201")
        for amount, piece in zip(("5,00", "5,00", "7,00"), pieces, strict=True)
        for row in two_sides(amount, EcritureNum=number, EcritureDate=day, PieceRef=piece)
    ]
    return content(*rows, *more)


def ids(found: Taken) -> list[str]:
    return [event["entry"]["id"] for event in found.events]


@pytest.mark.parametrize("number", NUMBERS)
def test_where_no_number_tells_the_pieces_do(number: str) -> None:
    found = taken(file(number))
    told = number if number.strip("0") else ""
    assert ids(found) == [
        f"fec:{day}:OD:{told}:{piece}"
        for day in ("20251130", "20251201")
        for piece in ("P1", "P2", "P3")
    ]
    assert [event["entry"]["piece_ref"] for event in found.events] == ["P1", "P2", "P3"] * 2
    assert found.left_out == []


@pytest.mark.parametrize("number", NUMBERS)
def test_where_neither_number_nor_piece_tells_balance_does(number: str) -> None:
    found = taken(file(number, pieces=("", "", "")))
    assert found.entries == 6
    assert len(set(ids(found))) == 6
    # Those that are alike are told apart by their order.
    assert ids(found)[1] == f"{ids(found)[0]}-2"
    references = [event["entry"]["piece_ref"] for event in found.events]
    assert len(set(references)) == 6
    assert references[0].startswith("20251130-")


def test_a_number_that_tells_in_one_journal_is_believed_in_all() -> None:
    other = two_sides("1,00", EcritureNum="7", JournalCode="ACH")
    more = two_sides("1,00", EcritureNum="8", JournalCode="ACH")
    found = taken(file("1", *other, *more))
    assert sorted(ids(found)) == [
        *("fec:20251130:ACH:7", "fec:20251130:ACH:8", "fec:20251130:OD:1", "fec:20251201:OD:1")
    ]


def test_on_one_day_the_same_number_is_that_of_one_entry_unless_its_pieces_balance() -> None:
    day = two_sides("5,00", PieceRef="P1")
    assert ids(taken(content(*day))) == ["fec:20251130:OD:9"]
    mixed = [*day, line(Debit="2,00", PieceRef="A"), line(Debit="", Credit="2,00", PieceRef="B")]
    assert ids(taken(content(*mixed))) == ["fec:20251130:OD:9"]
    two = [*day, *two_sides("5,00", PieceRef="P2")]
    assert ids(taken(content(*two))) == ["fec:20251130:OD:9:P1", "fec:20251130:OD:9:P2"]


def test_lines_that_nothing_groups_are_told_and_left_out() -> None:
    stray = line(EcritureNum="", EcritureDate="20251202", Debit="3,00", PieceRef="X")
    found = taken(file("", stray))
    assert found.entries == 6
    [finding] = found.left_out
    assert (finding.lines, finding.reason) == ((14,), Reason.UNGROUPED)
    assert finding.message.endswith("debit 3.00, credit 0.00")


def test_one_line_that_cannot_be_read_harms_its_own_entry_only() -> None:
    rows = file("").split(b"\n")
    rows[3] = rows[3].replace(b"641000", b"641.00")
    found = taken(b"\n".join(rows))
    assert found.entries == 5
    assert {finding.lines: finding.reason for finding in found.left_out} == {
        (4,): Reason.UNREADABLE,
        (5,): Reason.UNGROUPED,
    }


def test_of_two_lines_that_cannot_be_read_nobody_knows_whose_they_are() -> None:
    rows = file("").split(b"\n")
    for place in (3, 4):
        rows[place] = rows[place].replace(b"1000|", b"1.00|", 1)
    found = taken(b"\n".join(rows))
    assert found.entries == 3
    assert [finding.lines for finding in found.left_out] == [(2, 3, 4, 5, 6, 7)]
    assert_each_line_is_told_once(found)


# The same entries in a newer export.


@pytest.mark.parametrize("pieces", [("P1", "P2", "P3"), ("", "", "")])
def test_more_entries_of_the_same_day_change_no_id(pieces: tuple[str, ...]) -> None:
    older = taken(file("", pieces=pieces))
    between = two_sides("9,00", EcritureNum="", EcritureDate="20251130", PieceRef="")
    rows = file("", pieces=pieces).decode().splitlines()
    newer = taken("\n".join([rows[0], *between, *rows[1:]]).encode())
    assert newer.entries == 7
    before = {event["entry"]["id"]: event["entry"] for event in older.events}
    after = {event["entry"]["id"]: event["entry"] for event in newer.events}
    assert before.items() <= after.items()


def test_a_corrected_text_changes_no_id() -> None:
    older = taken(file("", pieces=("", "", "")))
    corrected = file("", pieces=("", "", "")).replace(b"Salaires", b"Salaires et traitements")
    assert ids(taken(corrected)) == ids(older)


def test_what_is_left_out_by_choice_changes_no_other_id() -> None:
    opening = two_sides("4,00", EcritureNum="", EcritureDate="20250101", JournalCode="AN")
    with_ = taken(file("", *opening))
    without = taken(file("", *opening), choices=Choices(with_opening=False))
    assert ids(with_)[1:] == ids(without)
